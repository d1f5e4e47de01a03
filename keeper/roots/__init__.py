"""Root keys: 32 bytes each, kept in a file, or behind a key of AWS KMS or of a PKCS#11 token.

The file of a root says how it is had: by itself (`file`), under a passphrase (`file`), or as a wrap that only the
service (`kms`) or the token (`pkcs11`) opens. So nothing else has to be set where a root is read.
"""

from keeper.roots.file import create_root, is_sealed, load_root, rewrap_root
from keeper.roots.pkcs11 import read_pin
from keeper.roots.place import FilePlace, KmsPlace, Pkcs11Place, RootPlace, parse_root_place
from keeper.roots.record import FIRST_ROOT, RECORD_ROOT, RecordRoots, Unlock, root_path

__all__ = [
    "FIRST_ROOT",
    "RECORD_ROOT",
    "FilePlace",
    "KmsPlace",
    "Pkcs11Place",
    "RecordRoots",
    "RootPlace",
    "Unlock",
    "create_root",
    "is_sealed",
    "load_root",
    "parse_root_place",
    "read_pin",
    "rewrap_root",
    "root_path",
]
