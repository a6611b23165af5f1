import zipfile
from pathlib import Path

from twinbench import joblog
from twinbench.files import whole

joblog.start(snakemake.log[0])
output = Path(snakemake.output[0])
with whole(output) as unfinished, zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED) as archive:
    for path in map(Path, snakemake.input):
        # ZipInfo's fixed date instead of the file's own: the same report gives the same archive.
        entry = zipfile.ZipInfo(f"{output.stem}/{path.relative_to(output.parent)}")
        archive.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED)
