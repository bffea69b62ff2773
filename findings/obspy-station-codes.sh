#!/bin/bash
# obspy 1.5.1: a file in MiniSEED has five letters for a station, and longer names are cut to them without a word. HAMBURG1 and
# HAMBURG2 are read back as two traces of HAMBU, and merge() takes them for two recordings of one station that disagree:
# not one sample is left. Samples of 64 bits are refused there; as WAV they are cut to 32 bits, 2^40+1 to 1.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install obspy==1.5.1 numpy==2.4.6 'setuptools<81'
cat > "$work/run.py" <<'PY'
import sys, warnings
import numpy
from obspy import Stream, Trace, read
from obspy.io.mseed import ObsPyMSEEDError

warnings.filterwarnings("ignore", category=DeprecationWarning)


def recorded(station, samples, kind="int32"):
    header = {"network": "AB", "station": station, "channel": "BHZ", "location": "00", "sampling_rate": 100.0}
    return Trace(numpy.array(samples, dtype=kind), header)


stream = Stream([recorded("HAMBURG1", [1, 2, 3]), recorded("HAMBURG2", [10, 20, 30])])
apart = len(stream.copy().merge())
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    stream.write("stations.mseed", format="MSEED")
    wide = recorded("HAMBU", [0, 5, 2**40 + 1], "int64")
    wide.write("wide.wav", format="WAV")
back = read("stations.mseed")
names, samples = [trace.id for trace in back], [trace.data.tolist() for trace in back]
back.merge()
left = int(numpy.ma.count(back[0].data))
try:
    wide.write("wide.mseed", format="MSEED")
    refused = False
except ObsPyMSEEDError:
    refused = True
cut = read("wide.wav")[0].data.tolist()
print(f"{[trace.id for trace in stream]}, merged {apart} traces; read back {names} with {samples}")
print(f"merged {len(back)} trace with {left} samples; [0, 5, 2^40+1] as WAV: {cut}; as MiniSEED refused: {refused}; said {len(said)}")
as_described = apart == 2 and names == ["AB.HAMBU.00.BHZ"] * 2 and samples == [[1, 2, 3], [10, 20, 30]]
as_described &= len(back) == 1 and left == 0 and refused and cut == [0, 5, 1] and not said
sys.exit(0 if as_described else 1)
PY
cd "$work"
if "$work/venv/bin/python" run.py 2>"$work/log"; then
  echo "as described"
else
  tail -20 "$work/log"
  echo "CHANGED: it behaves otherwise now"
  exit 1
fi
