# Adding up results. Sourced.
# shellcheck shell=bash

passed=0 failed=0 skipped=0
export TINYKVM_TESTS_BEGAN=${TINYKVM_TESTS_BEGAN:-$EPOCHSECONDS}

# heading TEXT: the beginning of a suite, with the minutes and seconds since the outermost script began. Emulated machines
# have clocks of their own, so there is no time on theirs.
heading() {
    local elapsed=$((EPOCHSECONDS - TINYKVM_TESTS_BEGAN)) time=''
    if [ -z "${OTHER_KVM:-}" ]; then time=$(printf '%d:%02d  ' $((elapsed / 60)) $((elapsed % 60))); fi
    printf '\n== %s%s\n' "$time" "$*"
}

# count_line "N passed, N failed, N skipped": adds a summary that some test program printed. False when it is none.
count_line() {
    local pattern='([0-9]+) passed, ([0-9]+) failed, ([0-9]+) skipped'
    [[ $1 =~ $pattern ]] || return 1
    passed=$((passed + BASH_REMATCH[1]))
    failed=$((failed + BASH_REMATCH[2]))
    skipped=$((skipped + BASH_REMATCH[3]))
}

# count_one NAME COMMAND...: one test, which passes when the command does. Exit status 77: the machine lacks something for
# it, and the command has said what.
count_one() {
    local name=$1 status=0
    shift
    "$@" || status=$?
    case $status in
        0) passed=$((passed + 1)) ;;
        77)
            skipped=$((skipped + 1))
            echo "skipped: $name"
            ;;
        *)
            failed=$((failed + 1))
            echo "FAILED: $name"
            ;;
    esac
}

# count_suite NAME COMMAND...: a command whose last line is a summary. Without one, or with a bad exit status that the
# summary does not explain, the suite itself counts as a failed test.
count_suite() {
    local name=$1 output status=0 last failed_before=$failed
    shift
    output=$(mktemp)
    "$@" 2>&1 | tee "$output" || status=$?
    last=$(grep -E '[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped' "$output" | tail -n 1 || true)
    rm -f "$output"
    if ! count_line "$last"; then
        failed=$((failed + 1))
        echo "FAILED: $name ended without a summary (status $status)"
    elif [ "$status" -ne 0 ] && [ "$failed" -eq "$failed_before" ]; then
        failed=$((failed + 1))
        echo "FAILED: $name ended with status $status"
    fi
}

# why_skipped VTC: what this varnishtest file asks of a machine, some of which this one lacks.
why_skipped() {
    echo "skipped: $(basename "$1"), which needs $(sed -n 's/^feature \(cmd \)\{0,1\}//p' "$1" | paste -sd '&' | sed 's/&/ and /g')"
}

# finish: the summary as the last line, and the exit status.
finish() {
    echo "$passed passed, $failed failed, $skipped skipped"
    [ "$failed" -eq 0 ] || exit 1
    exit 0
}
