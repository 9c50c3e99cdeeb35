"""Reads and writes the ZIP archive of a workbook."""

from collections.abc import Mapping
from io import BytesIO
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo
from zlib import error as ZlibError  # noqa: N812 - it is a class

from reviewbox.documents.document import ReadOptions
from reviewbox.errors import ErrorCode, SourceError

# XML usually compresses to a tenth of its size, and rarely to less than a hundredth.
_BOMB_RATIO = 100
_ENCRYPTED = 1  # a flag of a member


class Archive:
    """The members of a workbook's ZIP archive."""

    def __init__(self, data: bytes, options: ReadOptions) -> None:
        """Read an archive; raise SourceError if the archive is damaged, encrypted or too large."""
        self.members: dict[str, bytes] = {}  # the content of each member by its name
        self._infos: dict[str, ZipInfo] = {}
        try:
            with ZipFile(BytesIO(data)) as archive:
                infos = archive.infolist()
                _check_size(sum(info.file_size for info in infos), len(data), options)
                if any(info.flag_bits & _ENCRYPTED for info in infos):
                    raise SourceError(
                        ErrorCode.UNSUPPORTED_FORMAT, "the workbook is encrypted; save it without a password"
                    )
                for info in infos:
                    options.check_time()
                    self.members[info.filename] = archive.read(info)
                    self._infos[info.filename] = info
        except (BadZipFile, ZlibError, EOFError, OSError, NotImplementedError, ValueError) as error:
            raise SourceError(
                ErrorCode.CORRUPT_FILE, "the workbook's ZIP archive is damaged; save the workbook again"
            ) from error

    def write(self, replaced: Mapping[str, bytes], *, is_compressed: bool = True) -> bytes:
        """Return the archive with some members replaced. Equal members give equal bytes."""
        content = BytesIO()
        with ZipFile(content, "w") as archive:
            for name, data in self.members.items():
                source = self._infos[name]
                info = ZipInfo(name, source.date_time)
                info.create_system, info.external_attr = source.create_system, source.external_attr
                is_stored = not is_compressed or source.compress_type == ZIP_STORED
                info.compress_type = ZIP_STORED if is_stored else ZIP_DEFLATED
                archive.writestr(info, replaced.get(name, data))
        return content.getvalue()


def _check_size(uncompressed: int, size: int, options: ReadOptions) -> None:
    if uncompressed <= options.max_bytes:
        return
    limit = f"the {options.max_bytes:,} bytes that MAX_OBJECT_BYTES allows"
    ratio = uncompressed / size
    if ratio > _BOMB_RATIO:
        raise SourceError(
            ErrorCode.DECOMPRESSION_BOMB,
            f"the workbook expands to {ratio:,.0f} times its size, far more than workbooks do, and to more "
            f"than {limit}",
        )
    raise SourceError(
        ErrorCode.TOO_LARGE,
        f"the workbook has {uncompressed:,} bytes without compression, which is more than {limit}; split it, "
        "export it as CSV or raise MAX_OBJECT_BYTES",
    )
