"""The same five rows as Parquet (snappy, brotli, zstd with both kinds of pages), two rows as CSV under gzip and zstd,
and instants in several time zones, written by Apache Arrow.

    pip install pyarrow
    python make.py
"""

import datetime
import gzip

import pyarrow as pa
import pyarrow.parquet as pq

start = datetime.datetime(2026, 11, 3, 23, 59, 58)
seconds = [start + datetime.timedelta(seconds=k) for k in range(5)]
table = pa.table(
    {
        "date": pa.array(seconds, pa.timestamp("us")),
        "nanos": pa.array(seconds, pa.timestamp("ns")),
        "day": pa.array([s.date() for s in seconds]),
        "load": pa.array([0.1, 2.5, None, 1e-30, -4.0], pa.float32()),
        "flow": pa.array([1.0, 0.1, 1 / 3, 1e20, 5.0], pa.float64()),
        "count": pa.array([1, 2, 3, 4, 5], pa.int64()),
        "label": pa.array(["a", "b;c", "d,e", None, "ü"]),
    }
)
pq.write_table(table, "rows.parquet", compression="snappy", row_group_size=3)
pq.write_table(table, "zstd.parquet", compression="zstd")
pq.write_table(table, "zstd-v2.parquet", compression="zstd", data_page_version="2.0")
pq.write_table(table, "brotli.parquet", compression="brotli")
pq.write_table(pa.table({"a": pa.array([[1], [2]]), "b": [1, 2]}), "lists.parquet")
instants = [start, datetime.datetime(2026, 7, 1)]
zones = {"seoul": ("us", "Asia/Seoul"), "berlin": ("ns", "Europe/Berlin"), "offset": ("ms", "-02:30"), "utc": ("us", "UTC"), "wall": ("us", None)}
columns = {name: pa.array(instants, pa.timestamp(unit, zone)) for name, (unit, zone) in zones.items()}
pq.write_table(pa.table(columns), "zones.parquet")
with pa.CompressedOutputStream("rows.csv.zst", "zstd") as file:
    file.write(b"load,flow\n0.1,1\n2.5,0.1\n")
with gzip.GzipFile("rows.csv.gz", "wb", mtime=0) as file:
    file.write(b"load,flow\n0.1,1\n2.5,0.1\n")
