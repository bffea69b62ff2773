#!/bin/bash
# A capture in pcapng may count its times from another moment than 1970 (draft-ietf-opsawg-pcapng, if_tsoffset: seconds to be
# added to every timestamp of the interface). scapy 2.8.0 and python-pcapng 2.1.1 pass over it: a packet of 2026 is one
# of 1970, one with an offset of an hour is an hour late. dpkt 1.9.8 adds it, and gives times as doubles, so that of
# nanoseconds the last digits are others, python-pcapng's from the seventh on; scapy's are exact.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install scapy==2.8.0 dpkt==1.9.8 python-pcapng==2.1.1
cat > "$work/run.py" <<'PY'
import io, struct, sys
import dpkt, pcapng
from scapy.utils import rdpcap

MOMENT = 1767225600


def block(kind, body):
    length = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + length + body + length


def capture(resolution, offset, count):
    """One packet of 60 bytes, at count units of 10^-resolution seconds after offset."""
    options = struct.pack("<HHBxxx", 9, 1, resolution)
    if offset is not None:
        options += struct.pack("<HHq", 14, 8, offset)
    packet = b"\xff" * 14 + b"x" * 46
    return (
        block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
        + block(1, struct.pack("<HHI", 1, 0, 65535) + options + struct.pack("<HH", 0, 0))
        + block(6, struct.pack("<IIIII", 0, count >> 32, count & 0xFFFFFFFF, 60, 60) + packet)
    )


def seen(title, *of):
    """The time of the packet as each of the libraries has it."""
    content = capture(*of)
    times = [
        rdpcap(io.BytesIO(content))[0].time,
        next(found.timestamp for found in pcapng.FileScanner(io.BytesIO(content)) if hasattr(found, "timestamp")),
        next(iter(dpkt.pcapng.Reader(io.BytesIO(content))))[0],
    ]
    print(f"{title}: scapy {times[0]}, python-pcapng {times[1]}, dpkt {times[2]!r}")
    return [str(times[0]), float(times[1]), float(times[2])]


far = seen("counted from 2026", 6, MOMENT, 500000)
hour = seen("an hour ahead", 6, -3600, (MOMENT + 3600) * 10**6)
plain = seen("without an offset", 6, None, MOMENT * 10**6 + 500000)
fine = seen("nanoseconds", 9, None, MOMENT * 10**9 + 123456789)
as_described = far == ["0.5", 0.5, MOMENT + 0.5] and plain == [f"{MOMENT}.5", MOMENT + 0.5, MOMENT + 0.5]
as_described &= [float(time) for time in hour] == [MOMENT + 3600, MOMENT + 3600, MOMENT]
as_described &= fine[0] == f"{MOMENT}.123456789" and fine[1] == 1767225600.123457
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
