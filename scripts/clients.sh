# shellcheck shell=bash
# What scripts that run clients as they come from their registries share. Each says its `name` first: what is
# installed for tests/NAME, or for another folder that a script says as `source`, stays in target/NAME.

kept="$PWD/target/$name"
source="$PWD/tests/$name"
python="$kept/venv/bin/python"

say() { printf 'test-%s: %s\n' "$name" "$*" >&2; }

# Ends with the code that says that something is not here which not every machine has.
missing() {
    say "$*"
    exit 77
}

# Says what to install where one of these commands, or Python's venv, is missing.
need() {
    local needed packages="$1"
    shift
    for needed in "$@"; do
        command -v "$needed" >/dev/null ||
            missing "'$needed' is missing: apt-get install $packages, then run this again"
    done
    python3 -c 'import ensurepip, venv' 2>/dev/null || missing "Python's venv is missing: apt-get install python3-venv"
}

# Each list of what is installed is kept last beside it, so that an installation that was broken off is done again.
install_python() {
    ! cmp -s "$source/requirements.txt" "$kept/venv/requirements.txt" || return 0
    say "installing the clients into target/$name/venv"
    mkdir -p "$kept"
    python3 -m venv --clear "$kept/venv"
    "$python" -m pip install --quiet --disable-pip-version-check --no-deps -r "$source/requirements.txt" ||
        missing "pip cannot install ${source#"$PWD/"}/requirements.txt: is there a network?"
    cp "$source/requirements.txt" "$kept/venv/requirements.txt"
}

# The jars that a pom.xml names, fetched anew when it changes.
install_jars() {
    local pom="$1"
    ! cmp -s "$pom" "$kept/jars/pom.xml" || return 0
    say "fetching jars into target/$name"
    rm -rf "$kept/jars"
    mkdir -p "$kept/jars"
    mvn -q -B -f "$pom" dependency:copy-dependencies -DoutputDirectory="$kept/jars" >&2 ||
        missing "Maven cannot fetch the jars: is there a network?"
    cp "$pom" "$kept/jars/pom.xml"
}

# The jars of tests/NAME/java, and its programs.
install_java() {
    install_jars "$source/java/pom.xml"
    rm -rf "$kept/classes"
    mkdir -p "$kept/classes"
    # Its own warnings are about annotations that the jars leave out.
    javac -proc:none -nowarn -cp "$kept/jars/*" -d "$kept/classes" "$source"/java/*.java
}

# The program under test.
find_program() {
    if [ -z "${ONWARD_BIN:-}" ]; then
        "${CARGO:-cargo}" build --locked --release
        ONWARD_BIN="${CARGO_TARGET_DIR:-target}/release/onward"
    fi
    ONWARD_BIN="$(realpath "$ONWARD_BIN")"
    export ONWARD_BIN PYTHONDONTWRITEBYTECODE=1
}
