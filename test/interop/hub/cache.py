"""One side of interop.ts: huggingface_hub on the cache and the hub that HF_HOME and HF_ENDPOINT name.

Prints as JSON, for each file, the path in the cache and the SHA-256 of what it reads; null for a file that the cache
says is missing. usage: cache.py (files|snapshot|verify) REPO REVISION [NAME...]
"""

import hashlib
import json
import sys
from pathlib import Path

from huggingface_hub import HfApi, hf_hub_download, scan_cache_dir, snapshot_download, try_to_load_from_cache
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError
from huggingface_hub.file_download import _CACHED_NO_EXIST


def digest(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def read_files(repo, revision, names):
    result = {}
    for name in names:
        try:
            result[name] = digest(hf_hub_download(repo, name, revision=revision))
        except (EntryNotFoundError, LocalEntryNotFoundError):
            known = try_to_load_from_cache(repo, name, revision=revision)
            result[name] = None if known is _CACHED_NO_EXIST else "unknown"
    return result


def main():
    mode, repo, revision, *names = sys.argv[1:]
    if mode == "files":
        result = read_files(repo, revision, names)
    elif mode == "snapshot":
        folder = Path(snapshot_download(repo, revision=revision))
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        result = {path.relative_to(folder).as_posix(): digest(path) for path in files}
    else:
        checks = HfApi().verify_repo_checksums(repo, revision=revision)
        info = scan_cache_dir()
        result = {
            "checked": checks.checked_count,
            "mismatches": len(checks.mismatches),
            "warnings": [str(warning) for warning in info.warnings],
            "incomplete": len(info.incomplete_files),
            "revisions": sorted(r.commit_hash for repo in info.repos for r in repo.revisions),
        }
    print(json.dumps(result))


main()
