#!/usr/bin/env python3
"""What a user would pick instead of logstore, on the same file in the same run, each through its usual interface.

`scripts/peers [--lines 200000] [--layer FOLDER]` builds and installs what this needs, and runs it.

SQLite is driven by `sqlite.rs` through rusqlite, ClickHouse's engine is chdb; FOLDER holds a Python layer over DuckDB
with a package `storage` (a DuckDBManager and Pydantic models). What is not there is left out, with a line that says so.
"""
import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

START = datetime(2025, 1, 15, tzinfo=timezone.utc)
RATE = 500
NEEDLE = "port 4242 "


def write_lines(path, count):
    """Failed and accepted logins, 12 fields a line, the same for every run."""
    chance = random.Random(1)
    addresses = [".".join(str(chance.randrange(1, 255)) for _ in range(4)) for _ in range(20_000)]
    with open(path, "w") as file:
        for number in range(count):
            when = START + timedelta(milliseconds=number * 1_000 / RATE)
            host, pid, port = f"web-{chance.randrange(200):03}", chance.randrange(300, 32_000), chance.randrange(1_024, 65_000)
            address, user = addresses[int(chance.random() ** 2 * 20_000)], chance.choice(["root", "admin", "alice", "bob"])
            outcome = chance.choice(["Failed", "Accepted"])
            message = f"{outcome} password for {user} from {address} port {port} ssh2"
            file.write(json.dumps({
                "id": f"{number:016x}", "timestamp": when.strftime("%Y-%m-%dT%H:%M:%S.") + f"{when.microsecond // 1_000:03}Z",
                "raw": f"{when:%b %d %H:%M:%S} {host} sshd[{pid}]: {message}", "appname": "sshd",
                "file": "/var/log/auth.log", "host": host, "hostname": f"{host}.corp.example", "message": message,
                "procid": pid, "source_type": "syslog:sshd",
                "normalized": {"event": "ssh_login", "outcome": outcome, "src_ip": address, "src_port": port, "user": user},
                "metadata": {"level": "info", "facility": "authpriv"},
            }, separators=(",", ":")) + "\n")
    return START + timedelta(seconds=count / RATE - 60)


def timed(work, times=3):
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        answer = work()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken), answer


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def size(path):
    if os.path.isdir(path):
        return sum(file.stat().st_size for file in Path(path).rglob("*") if file.is_file())
    return os.path.getsize(path)


def logstore(program, file, folder, since):
    store = f"{folder}/logstore.duckdb"
    call = lambda *arguments: run(program, "--database", store, *arguments)
    yield timed(lambda: call("ingest", file), 1)[0]
    yield timed(lambda: call("fetch", "--since", since.isoformat()).count("\n"))
    yield timed(lambda: json.loads(call("count", "--contains", NEEDLE))["count"])
    yield timed(lambda: call("count", "--by", "source_ip").count("\n"))
    yield size(store)


def sqlite(arguments, file, folder, since):
    store = f"{folder}/sqlite.db"
    taken = json.loads(run(arguments.sqlite, file, store, since.strftime("%Y-%m-%dT%H:%M:%S"), NEEDLE))
    yield taken["ingest"]
    for question in ("recent", "found", "groups"):
        yield taken[question]
    yield size(store)


def clickhouse(_, file, folder, since):
    from chdb import session
    store = f"{folder}/clickhouse"
    engine = session.Session(store)
    columns = "id String, timestamp String, raw String, appname String, file String, host String, hostname String, " \
              "message String, procid Nullable(Int64), source_type String, normalized String, metadata String"

    def ingest():
        engine.query("CREATE DATABASE soc ENGINE = Atomic")
        engine.query(f"CREATE TABLE soc.logs ({columns}, event_time DateTime64(3, 'UTC'), source_ip String) "
                     "ENGINE = MergeTree ORDER BY event_time")
        engine.query(f"INSERT INTO soc.logs SELECT *, parseDateTime64BestEffort(timestamp, 3, 'UTC'), "
                     f"JSONExtractString(normalized, 'src_ip') FROM file('{file}', JSONEachRow, '{columns}')")

    ask = lambda sql: str(engine.query(sql, "JSONEachRow"))
    yield timed(ingest, 1)[0]
    text = since.strftime("%Y-%m-%d %H:%M:%S")
    yield timed(lambda: ask(f"SELECT * FROM soc.logs WHERE event_time >= '{text}' ORDER BY event_time DESC").count("\n"))
    yield timed(lambda: int(json.loads(ask(f"SELECT count() AS n FROM soc.logs WHERE position(raw, '{NEEDLE}') > 0"))["n"]))
    yield timed(lambda: ask("SELECT source_ip, count() FROM soc.logs GROUP BY source_ip").count("\n"))
    engine.close()
    yield size(store)


def layer(arguments, file, folder, since):
    sys.path.insert(0, arguments.layer)
    from storage.db_manager import DuckDBManager
    manager = DuckDBManager(f"{folder}/layer.duckdb")

    def ingest():
        batch = []
        for line in open(file):
            log = json.loads(line)
            batch.append([log["id"], log["timestamp"], log["raw"], log["appname"], log["file"], log["host"], log["hostname"],
                          log["message"], log["procid"], log["source_type"], json.dumps(log["normalized"]),
                          json.dumps(log["metadata"]), None])
        manager.store_logs_batch(batch)

    yield timed(ingest, 1)[0]
    yield timed(lambda: len(manager.fetch_logs(start=since)))

    def ask(sql, *values):
        with manager.connection() as engine:
            return engine.execute(sql, values).fetchall()

    yield timed(lambda: ask("SELECT count(*) FROM logs WHERE contains(raw, ?)", NEEDLE)[0][0])
    yield timed(lambda: len(ask("SELECT normalized->>'$.src_ip' AS ip, count(*) FROM logs GROUP BY ip")))
    yield size(f"{folder}/layer.duckdb")


def tools(_, file, folder, since):
    text = since.strftime("%Y-%m-%dT%H:%M:%S")
    shell = lambda command: run("sh", "-c", command)
    yield 0.0
    yield timed(lambda: shell(f"jq -c 'select(.timestamp >= \"{text}\")' {file}").count("\n"), 1)
    yield timed(lambda: int(shell(f"grep -cF '{NEEDLE}' {file}")))
    yield timed(lambda: shell(f"jq -r .normalized.src_ip {file} | sort | uniq -c").count("\n"), 1)
    yield size(file)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--logstore", required=True, help="the program")
    parser.add_argument("--sqlite", required=True, help="the program of sqlite.rs")
    parser.add_argument("--lines", type=int, default=200_000)
    parser.add_argument("--layer")
    arguments = parser.parse_args()
    peers = {"logstore": logstore, "SQLite": sqlite, "ClickHouse (chdb)": clickhouse, "grep, jq": tools}
    if arguments.layer:
        peers["Pydantic over DuckDB"] = layer
    with tempfile.TemporaryDirectory(dir=os.getcwd()) as folder:
        file = f"{folder}/logs.ndjson"
        since = write_lines(file, arguments.lines)
        print(f"{arguments.lines} lines, {size(file)} bytes\n")
        print("| | ingest | last minute | substring count | count by address | bytes on disk |\n|---|---|---|---|---|---|")
        for name, peer in peers.items():
            try:
                taken = arguments.logstore if peer is logstore else arguments
                ingest, recent, found, groups, stored = peer(taken, file, folder, since)
            except (ImportError, FileNotFoundError) as missing:
                print(f"skipped: {name}, {missing}", file=sys.stderr)
                continue
            cells = [f"{ingest:.2f} s"] + [f"{1e3 * seconds:.0f} ms ({answer})" for seconds, answer in (recent, found, groups)]
            print(f"| {name} | {' | '.join(cells)} | {stored} |", flush=True)


if __name__ == "__main__":
    main()
