"""What the benchmarks have in common that ask Varnish: a varnishd and an nginx of their own, in a folder of their own and on
free ports of 127.0.0.1, and wrk, which asks. Ways to answer take turns, a short round each, and the medians of the rounds
count, so that whatever else the machine does harms all."""
import collections
import contextlib
import json
import os
import pathlib
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
PAGE = "Hello, world!\n"
LIBRARIES = ["/lib64", "/lib", "/usr/lib"]
# What one request costs, by the VMOD's counter.
COUNTS = {"exits": "exits", "faults": "guest_faults", "KVM calls": "kvm_calls", "pages": "pages_restored"}
# wrk's own summary is for people.
REPORT = """
done = function(summary, latency, requests)
    local errors = summary.errors
    io.write(string.format("RESULT %d %f %f %f %d\\n", summary.requests,
        summary.requests / summary.duration * 1e6, latency:percentile(50), latency:percentile(99), errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
"""

# A way to answer: what the client's URL is, what VCL does with it, and which way it cannot be faster than.
Way = collections.namedtuple("Way", "name url recv fetch synth floor", defaults=("", "", "", None))
# `cpu`: us of varnishd for a request, with the guests in it.
Result = collections.namedtuple("Result", "rate p50 p99 cpu errors counts")


@contextlib.contextmanager
def folder():
    """Of a benchmark, which ends what it has started also when it is ended itself."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix="tinykvm-bench-") as name:
        work = pathlib.Path(name)
        work.chmod(0o755)
        (work / "nginx.tmp").mkdir()
        yield work


def wait_for(process, log, ready):
    """Until ready() is true; with the log when the process ends before."""
    while not ready():
        if process.poll() is not None:
            raise SystemExit(f"{process.args[0]} did not start:\n{log.read_text()}")
        time.sleep(0.02)


@contextlib.contextmanager
def running(command, log, ready):
    with open(log, "wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        wait_for(process, log, lambda: ready(process))
        yield process
    finally:
        process.terminate()
        process.wait()


def processes_of(process):
    """It, and those it has started."""
    children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [process.pid, *map(int, children)]


def spent(pids):
    """Seconds of CPU time."""
    ticks = 0
    for pid in pids:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def nginx(work, server, ready, main=""):
    """With that text as its server; `main` is for the outermost level of its configuration."""
    (work / "nginx.conf").write_text(f"""
{main}
daemon off;
pid {work}/nginx.pid;
error_log {work}/nginx.errors;
worker_processes 2;
events {{ worker_connections 256; }}
http {{
    access_log off;
    keepalive_requests 1000000;
    default_type text/plain;
    sendfile on;
    client_body_temp_path {work}/nginx.tmp;
    proxy_temp_path {work}/nginx.tmp;
    fastcgi_temp_path {work}/nginx.tmp;
    uwsgi_temp_path {work}/nginx.tmp;
    scgi_temp_path {work}/nginx.tmp;
    {server}
}}
""")
    return running(["nginx", "-e", str(work / "nginx.errors"), "-p", str(work), "-c", str(work / "nginx.conf")],
                   work / "nginx.log", ready)


def varnish(work, build, port, url="/nginx"):
    """Ready when this URL is answered with a 200."""
    standard = subprocess.run(["pkg-config", "--variable=vmoddir", "varnishapi"], check=True, capture_output=True,
                              text=True).stdout.strip()

    def answers(process):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as client:
            client.sendall(f"GET {url} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n".encode())
            return client.recv(4096).startswith(b"HTTP/1.1 200")
        return False

    return running(["varnishd", "-F", "-j", "none", "-n", str(work / "varnish"), "-a", f"127.0.0.1:{port}", "-f",
                    str(work / "bench.vcl"), "-s", "malloc,64m", "-p", f"vmod_path={build}:{build}/bench:{standard}", "-p",
                    "thread_pool_min=50"],
                   work / "varnish.log", answers)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def counters(work):
    output = subprocess.run(["varnishstat", "-n", str(work / "varnish"), "-j", "-f", "VMOD_KVM.*"], check=True,
                            capture_output=True, text=True).stdout
    return {name.removeprefix("VMOD_KVM."): counter["value"]
            for name, counter in json.loads(output)["counters"].items()}


def counts_per_request(before, after):
    """By the names of COUNTS; without those that do not exist, empty when no program was asked."""
    requests = after["requests"] - before["requests"]
    if not requests:
        return {}
    return {name: (after[counter] - before[counter]) / requests for name, counter in COUNTS.items()
            if counter in after}


def ask(work, varnishd, port, way, connections, seconds):
    processes = processes_of(varnishd)
    before, began = counters(work), spent(processes)
    output = subprocess.run(["wrk", "-t", "1", "-c", str(connections), "-d", f"{seconds}s", "-s",
                             str(work / "report.lua"), f"http://127.0.0.1:{port}{way.url}"], check=True,
                            capture_output=True, text=True).stdout
    # Resets and their counts come after the responses.
    time.sleep(0.05)
    cpu = spent(processes) - began
    answers, rate, p50, p99, errors = next(line for line in output.splitlines() if line.startswith("RESULT")).split()[1:]
    return Result(float(rate), float(p50), float(p99), cpu * 1e6 / max(1, int(answers)), int(errors),
                  counts_per_request(before, counters(work)))


def check(port, way):
    """That it answers what the others answer."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{way.url}", timeout=60) as answer:
        body = answer.read().decode()
    if body != PAGE:
        raise SystemExit(f"{way.name} answers {body!r}")


def measure(work, varnishd, port, ways, options):
    """Of each way and number of connections the medians of all rounds."""
    results = collections.defaultdict(list)
    for _ in range(options.rounds):
        for connections in options.connections:
            for way in ways:
                results[connections, way.name].append(ask(work, varnishd, port, way, connections, options.seconds))
    return {key: Result(statistics.median(r.rate for r in rounds), statistics.median(r.p50 for r in rounds),
                        statistics.median(r.p99 for r in rounds), statistics.median(r.cpu for r in rounds),
                        sum(r.errors for r in rounds),
                        # A round of a second on a busy machine may have no request at all.
                        {name: statistics.median(r.counts[name] for r in rounds if r.counts)
                         for name in next((r.counts for r in rounds if r.counts), {})})
            for key, rounds in results.items()}


def print_table(ways, options, results):
    """The ratios are those to the first way, and to each one's floor if they have one."""
    has_floors = any(way.floor for way in ways)
    for connections in options.connections:
        def ratio(way, base):
            return f"{results[connections, way.name].rate / results[connections, base.name].rate:8.2f}" if base else f"{'-':>8}"

        title = "1 connection" if connections == 1 else f"{connections} connections"
        print(f"\n{title:<36}{'req/s':>9}{'p50 us':>9}{'p99 us':>9}{'CPU us':>9}{'ratio':>8}" + f"{'floor':>8}" * has_floors +
              "".join(f"{name:>11}" for name in COUNTS))
        for way in ways:
            result = results[connections, way.name]
            counts = "".join(f"{result.counts[name]:11.2f}" if name in result.counts else f"{'-':>11}"
                             for name in COUNTS)
            errors = f"  {result.errors} ERRORS" if result.errors else ""
            print(f"{way.name:<36}{result.rate:9.0f}{result.p50:9.0f}{result.p99:9.0f}{result.cpu:9.1f}{ratio(way, ways[0])}" +
                  ratio(way, way.floor) * has_floors + counts + errors)
    print(f"\nCPU: of varnishd for a request. ratio: requests per second against {ways[0].name}. " +
          "floor: against Varnish and a bare entry into a guest. " * has_floors + "After these: per request to a program.")
