"""Ordinary scripts that must go on working: what analysts do all day, close to what is closed."""

from functools import partial

from tests.hostile.cases.base import attack

ordinary = partial(attack, "ordinary", oracle="benign", bare=False)

CASES = (
    ordinary(
        "o01",
        "modules beside the user's script and in a folder of theirs",
        code="""
        import helpers, run, usermod
        print(helpers.VALUE, usermod.VALUE)
        """,
    ),
    ordinary(
        "o02",
        "files copied with their dates, zipped and unpacked",
        code="""
        import shutil, zipfile
        open("a.txt", "w").write("x")
        shutil.copy2("a.txt", "b.txt")
        with zipfile.ZipFile("z.zip", "w") as z: z.write("b.txt")
        zipfile.ZipFile("z.zip").extractall("out")
        shutil.make_archive("t", "gztar", "out"); shutil.unpack_archive("t.tar.gz", "again")
        print(open("again/b.txt").read())
        """,
    ),
    ordinary(
        "o03",
        "a database in scratch",
        code="""
        import sqlite3
        with sqlite3.connect("my.db") as c:
            c.execute("create table t (a)"); c.executemany("insert into t values (?)", [(n,) for n in range(1000)])
            print(c.execute("select sum(a) from t").fetchone())
        """,
    ),
    ordinary(
        "o04",
        "threads in a pool, queues and locks",
        code="""
        from concurrent.futures import ThreadPoolExecutor
        import queue
        q = queue.Queue()
        with ThreadPoolExecutor(16) as pool: list(pool.map(q.put, range(100)))
        print(q.qsize())
        """,
    ),
    ordinary(
        "o05",
        "an event loop with a server in the same process",
        code="""
        import asyncio
        async def main():
            a, b = socket.socketpair()
            reader, writer = await asyncio.open_connection(sock=a)
            b.sendall(b"hello")
            print(await reader.read(5), await asyncio.to_thread(sum, [1, 2]))
            writer.close(); b.close()
        asyncio.run(main())
        """,
    ),
    ordinary(
        "o06",
        "a chart drawn and a table written and read",
        code="""
        import matplotlib
        matplotlib.use("Agg")
        import matplotlib.pyplot as plt
        import pandas as pd
        frame = pd.read_csv("@DATA@").groupby("region").value.sum()
        frame.plot.bar(); plt.savefig("chart.png")
        frame.to_frame().to_parquet("t.parquet")
        print(os.path.getsize("chart.png") > 1000, len(pd.read_parquet("t.parquet")))
        """,
        seconds=40.0,
    ),
    ordinary(
        "o07",
        "large joins in DuckDB, spilling to scratch",
        code="""
        import duckdb
        c = duckdb.connect("big.db")
        c.execute("set memory_limit = '200MB'")
        c.execute("create table t as select range a, hash(range) b from range(1000000)")
        print(c.execute("select count(*) from t join t u on t.b = u.b").fetchall())
        """,
        seconds=40.0,
    ),
    ordinary(
        "o08",
        "questions about itself and the machine",
        code="""
        import getpass, locale, platform, resource, shutil, tempfile, time
        print(platform.platform(), os.cpu_count(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > 0)
        print(len(os.listdir("/proc/self/fd")) > 2, shutil.disk_usage(".").total > 0, time.localtime().tm_year)
        print("VmRSS" in open("/proc/self/status").read(), tempfile.gettempdir(), os.getloadavg()[0] >= 0)
        """,
    ),
)
