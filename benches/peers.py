#!/usr/bin/env python3
"""What a user would pick instead of logstore, on the same file in the same run, each through its usual interface.

`scripts/peers [--lines 200000 | --file FILE] [--layer FOLDER]` builds and installs what this needs, and runs it.

Texts are looked for in whole lines, or in all columns of them. SQLite and the layer look in `raw` alone. Each question
to logstore is a process. DuckDB and ClickHouse's engine (chdb) run in this process, and chdb remembers no answers.
SQLite is driven by `sqlite.rs` through rusqlite. FOLDER holds a Python layer over DuckDB with a package `storage` (a
DuckDBManager and Pydantic models). What is not there is left out, with a line that says so.

FILE has a JSON object a line, with the members that `write_lines` gives. What to look for is found in the file.
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
from collections import Counter
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import NamedTuple

START = datetime(2025, 1, 15, tzinfo=timezone.utc)
RATE = 500
# No line has these.
WORD, PART, ADDRESS = "nowhere7", "owhere7", "203.0.113.77"
QUESTIONS = {
    "recent": "last minute, fetched",
    "text": "a text in about one line of 11",
    "word": "a word that is nowhere",
    "address": "an address that is nowhere, as a part",
    "rows": "an address in about 20 lines, fetched",
    "part": "a part of a word that is nowhere",
    "groups": "count by address",
}


class Sought(NamedTuple):
    """What is looked for in a file: logs since a time, a text that many lines hold, an address that few hold."""
    since: str
    text: str
    address: str


def write_lines(path, count):
    """Failed and accepted logins, 12 fields a line, the same for every run."""
    chance = random.Random(1)
    addresses = [".".join(str(chance.randrange(1, 255)) for _ in range(4)) for _ in range(20_000)]
    with open(path, "w") as file:
        for number in range(count):
            when = START + timedelta(milliseconds=number * 1_000 / RATE)
            host, pid = f"web-{chance.randrange(200):03}", chance.randrange(300, 32_000)
            address, port = addresses[int(chance.random() ** 2 * 20_000)], chance.randrange(1_024, 65_000)
            user = chance.choice(["root", "admin", "alice", "bob"])
            outcome = chance.choice(["Failed", "Accepted"])
            unknown = "invalid user " if chance.randrange(11) == 0 else ""
            message = f"{outcome} password for {unknown}{user} from {address} port {port} ssh2"
            file.write(json.dumps({
                "id": f"{number:016x}",
                "timestamp": when.strftime("%Y-%m-%dT%H:%M:%S.") + f"{when.microsecond // 1_000:03}Z",
                "raw": f"{when:%b %d %H:%M:%S} {host} sshd[{pid}]: {message}", "appname": "sshd",
                "file": "/var/log/auth.log", "host": host, "hostname": f"{host}.corp.example", "message": message,
                "procid": pid, "source_type": "syslog:sshd",
                "normalized": {"event": "ssh_login", "outcome": outcome, "src_ip": address, "src_port": port,
                               "user": user},
                "metadata": {"level": "info", "facility": "authpriv"},
            }, separators=(",", ":")) + "\n")


def look(file):
    """The number of lines, and what to look for."""
    count, last, words, addresses = 0, "", Counter(), Counter()
    for line in open(file):
        log = json.loads(line)
        count, last = count + 1, max(last, log["timestamp"])
        words.update(filter(str.isalpha, log["raw"].split()))
        if address := log["normalized"].get("src_ip"):
            addresses[address] += 1
    if lines_with(file, [WORD, PART, ADDRESS]):
        sys.exit(f"{file} has {WORD}, {PART} or {ADDRESS}")
    since = datetime.fromisoformat(last[:19]) - timedelta(seconds=60)
    return count, Sought(since.isoformat(), nearest(file, words, count / 11), nearest(file, addresses, 20))


def nearest(file, counts, aim):
    """Of the texts that are counted, the one that about `aim` whole lines hold."""
    texts = sorted(counts, key=lambda text: abs(counts[text] - aim))[:5]
    held = lines_with(file, texts)
    return min(texts, key=lambda text: abs(held[text] - aim))


def lines_with(file, texts):
    return Counter(text for line in open(file) for text in texts if text in line)


def timed(work, times=3):
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        answer = work()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken), answer


def ask(works):
    return {question: timed(work) for question, work in works.items()}


def run(*command):
    """The output. That nothing was found is no failure: logstore and grep say it with 1."""
    done = subprocess.run(command, capture_output=True)
    if done.returncode not in (0, 1):
        sys.exit(f"{command}: {done.stderr.decode()}")
    return done.stdout


def logstore(arguments, file, folder, sought):
    store = f"{folder}/logstore.duckdb"
    call = partial(run, arguments.logstore, "--database", store)
    count = lambda *flags: json.loads(call("count", *flags))["count"]
    lines = lambda *flags: call(*flags).count(b"\n")
    ingest = timed(lambda: call("ingest", file), 1)[0]
    answers = ask({
        "recent": lambda: lines("fetch", "--since", f"{sought.since}Z"),
        "text": lambda: count("--contains", sought.text),
        "word": lambda: count("--has", WORD),
        "address": lambda: count("--contains", ADDRESS),
        "rows": lambda: lines("fetch", "--has", sought.address),
        "part": lambda: count("--contains", PART),
        "groups": lambda: lines("count", "--by", "source_ip"),
        "start": lambda: count(),
    })
    return ingest, answers, os.path.getsize(store)


def sqlite(arguments, file, folder, sought):
    if not arguments.sqlite:
        raise FileNotFoundError("no --sqlite")
    store = f"{folder}/sqlite.db"
    taken = json.loads(run(arguments.sqlite, file, store, sought.since, sought.text))
    answers = {"recent": taken["recent"], "text": taken["found"], "groups": taken["groups"]}
    return taken["ingest"], answers, os.path.getsize(store)


# Of 8,192 lines, about 20,000 tokens: a filter of 32 KiB takes one in a hundred for there.
TOKENS = "INDEX tokens line TYPE tokenbf_v1(32768, 3, 0) GRANULARITY 1"
TEXT_INDEX = "INDEX tokens line TYPE text(tokenizer = 'splitByNonAlpha')"
LOG = "Tuple(timestamp String, host String, source_type String, normalized Tuple(src_ip String, user String))"


def clickhouse(codec, index, _, file, folder, sought):
    from chdb import session
    store = tempfile.mkdtemp(dir=folder)

    def ingest():
        engine = session.Session(store)
        engine.query("CREATE DATABASE soc ENGINE = Atomic")
        engine.query(f"""
            CREATE TABLE soc.logs (event_time DateTime64(3, 'UTC'), host LowCardinality(String), source_ip String,
                user String, source_type LowCardinality(String), line String CODEC({codec}), {index})
            ENGINE = MergeTree ORDER BY event_time""")
        engine.query(f"""
            INSERT INTO soc.logs
            SELECT parseDateTime64BestEffort(log.timestamp, 3, 'UTC'), log.host, log.normalized.src_ip,
                log.normalized.user, log.source_type, line
            FROM (SELECT line, JSONExtract(line, '{LOG}') AS log FROM file('{file}', LineAsString))""")
        engine.close()

    taken = timed(ingest, 1)[0]
    engine = session.Session(store)
    # A remembered answer is no search.
    engine.query("SET use_query_condition_cache = 0, use_text_index_tokens_cache = 0, "
                 "use_text_index_negative_tokens_cache = 0")
    answer = lambda sql: engine.query(sql, "TSVRaw").bytes()
    count = lambda condition: int(answer(f"SELECT count() FROM soc.logs WHERE {condition}"))
    lines = lambda condition: answer(f"SELECT line FROM soc.logs WHERE {condition} ORDER BY event_time").count(b"\n")
    # The indexes have an address as its four numbers.
    numbers = " AND ".join(f"hasToken(line, '{number}')" for number in sought.address.split("."))
    answers = ask({
        "recent": lambda: lines(f"event_time >= parseDateTimeBestEffort('{sought.since}', 'UTC')"),
        "text": lambda: count(f"line LIKE '%{sought.text}%'"),
        "word": lambda: count(f"hasToken(line, '{WORD}')"),
        "address": lambda: count(f"line LIKE '%{ADDRESS}%'"),
        "rows": lambda: lines(f"{numbers} AND line LIKE '%{sought.address}%'"),
        "part": lambda: count(f"line LIKE '%{PART}%'"),
        "groups": lambda: answer("SELECT source_ip, count() FROM soc.logs GROUP BY source_ip").count(b"\n"),
    })
    # Parts that were merged stay in the folder for some minutes.
    stored = int(answer("SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND database = 'soc'"))
    engine.close()
    return taken, answers, stored


COLUMNS = ["id", "raw", "appname", "file", "host", "hostname", "message", "procid", "source_type", "normalized",
           "metadata"]


def duckdb_lines(_, file, folder, sought):
    create = f"""
        CREATE TABLE logs (line VARCHAR USING COMPRESSION zstd);
        INSERT INTO logs FROM read_csv('{file}', columns = {{line: 'VARCHAR'}}, delim = '\x01', quote = '', escape = '',
            header = false, auto_detect = false)"""
    return in_duckdb(f"{folder}/lines.duckdb", create, sought, "line", "line->>'$.timestamp'",
                     "line->>'$.normalized.src_ip'", lambda text: f"contains(line, '{text}')")


def duckdb_columns(_, file, folder, sought):
    types = ", ".join(f"{name}: '{'JSON' if name in ('normalized', 'metadata') else 'VARCHAR'}'" for name in COLUMNS)
    create = f"""
        CREATE TABLE logs AS
        SELECT *, normalized->>'$.src_ip' AS source_ip, normalized->>'$.user' AS "user"
        FROM read_json('{file}', format = 'newline_delimited', columns = {{"timestamp": 'TIMESTAMP', {types}}})"""
    return in_duckdb(f"{folder}/columns.duckdb", create, sought, "*", '"timestamp"', "source_ip",
                     lambda text: "(" + " OR ".join(f"contains({name}, '{text}')" for name in COLUMNS) + ")")


def in_duckdb(store, create, sought, row, time_of, address_of, holds):
    import duckdb

    def ingest():
        with duckdb.connect() as engine:
            engine.execute(f"ATTACH '{store}' AS store (STORAGE_VERSION 'v1.5.0'); USE store; {create}")

    taken = timed(ingest, 1)[0]
    with duckdb.connect(store) as engine:
        answer = lambda sql: engine.execute(sql).fetchall()
        count = lambda text: answer(f"SELECT count(*) FROM logs WHERE {holds(text)}")[0][0]
        rows = lambda condition: len(answer(f"SELECT {row} FROM logs WHERE {condition} ORDER BY {time_of}"))
        answers = ask({
            "recent": lambda: rows(f"{time_of} >= '{sought.since}'"),
            "text": lambda: count(sought.text),
            "word": lambda: count(WORD),
            "address": lambda: count(ADDRESS),
            "rows": lambda: rows(holds(sought.address)),
            "part": lambda: count(PART),
            "groups": lambda: len(answer(f"SELECT {address_of} AS address, count(*) FROM logs GROUP BY address")),
        })
    return taken, answers, os.path.getsize(store)


def layer(arguments, file, folder, sought):
    if not arguments.layer:
        raise FileNotFoundError("no --layer")
    sys.path.insert(0, arguments.layer)
    from storage.db_manager import DuckDBManager
    manager = DuckDBManager(f"{folder}/layer.duckdb")

    def ingest():
        batch = []
        for line in open(file):
            log = json.loads(line)
            batch.append([log["id"], log["timestamp"], log["raw"], log["appname"], log["file"], log["host"],
                          log["hostname"], log["message"], log["procid"], log["source_type"],
                          json.dumps(log["normalized"]), json.dumps(log["metadata"]), None])
        manager.store_logs_batch(batch)

    def answer(sql, *values):
        with manager.connection() as engine:
            return engine.execute(sql, values).fetchall()

    taken = timed(ingest, 1)[0]
    since = datetime.fromisoformat(sought.since).replace(tzinfo=timezone.utc)
    answers = ask({
        "recent": lambda: len(manager.fetch_logs(start=since)),
        "text": lambda: answer("SELECT count(*) FROM logs WHERE contains(raw, ?)", sought.text)[0][0],
        "groups": lambda: len(answer("SELECT normalized->>'$.src_ip' AS ip, count(*) FROM logs GROUP BY ip")),
    })
    return taken, answers, os.path.getsize(f"{folder}/layer.duckdb")


def tools(_, file, folder, sought):
    shell = lambda command: run("sh", "-c", command)
    count = lambda flags, text: int(shell(f"grep -{flags}F '{text}' {file}"))
    lines = lambda command: shell(command).count(b"\n")
    return None, ask({
        "recent": lambda: lines(f"jq -c 'select(.timestamp >= \"{sought.since}\")' {file}"),
        "text": lambda: count("c", sought.text),
        "word": lambda: count("cw", WORD),
        "address": lambda: count("c", ADDRESS),
        "rows": lambda: lines(f"grep -wF '{sought.address}' {file}"),
        "part": lambda: count("c", PART),
        "groups": lambda: lines(f"jq -r .normalized.src_ip {file} | sort | uniq -c"),
    }), os.path.getsize(file)


PEERS = {
    "logstore": logstore,
    "SQLite": sqlite,
    "DuckDB, whole lines": duckdb_lines,
    "DuckDB, columns": duckdb_columns,
    "ClickHouse (chdb)": partial(clickhouse, "LZ4", TOKENS),
    "ClickHouse (chdb), zstd": partial(clickhouse, "ZSTD(1)", TOKENS),
    "ClickHouse (chdb), zstd, text index": partial(clickhouse, "ZSTD(1)", TEXT_INDEX),
    "grep, jq": tools,
    "Pydantic over DuckDB": layer,
}


def measure(arguments, file, folder):
    count, sought = look(file)
    print(f"{count} lines, {os.path.getsize(file)} bytes; {sought}\n")
    print("| |", " | ".join(["ingest", *QUESTIONS.values(), "bytes on disk"]), "|")
    print("|" + "---|" * (len(QUESTIONS) + 3))
    start = None
    for name, peer in PEERS.items():
        try:
            ingest, answers, stored = peer(arguments, file, folder, sought)
        except (ImportError, FileNotFoundError) as missing:
            print(f"skipped: {name}, {missing}", file=sys.stderr)
            continue
        cells = [f"{ingest:.2f} s" if ingest else "-"] + [cell(answers.get(question)) for question in QUESTIONS]
        print(f"| {name} | {' | '.join(cells)} | {stored} |", flush=True)
        start = answers.get("start", start)
    print(f"\nEach time of logstore has the start of the program in it: `logstore count` of all takes {cell(start)}.")


def cell(taken):
    if taken is None:
        return "-"
    seconds, answer = taken
    return f"{1e3 * seconds:.0f} ms ({answer})"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--logstore", required=True, help="the program")
    parser.add_argument("--sqlite", help="the program of sqlite.rs")
    parser.add_argument("--lines", type=int, default=200_000)
    parser.add_argument("--file", type=os.path.abspath, help="measure this file instead of lines of our own")
    parser.add_argument("--layer")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=os.getcwd()) as folder:
        file = arguments.file or f"{folder}/logs.ndjson"
        if not arguments.file:
            write_lines(file, arguments.lines)
        measure(arguments, file, folder)


if __name__ == "__main__":
    main()
