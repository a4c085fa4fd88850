"""Prints the size of the disk in an image, and the sha256 of what is on it, as a library of libyal reads them."""

import hashlib
import importlib
import sys

library, path = sys.argv[1:]
module = importlib.import_module(library)
image = module.handle() if library == "pyvmdk" else module.file()
image.open(path)
if library == "pyvmdk":
    image.open_extent_data_files()
size = image.get_media_size()
digest = hashlib.sha256()
done = 0
while done < size:
    data = image.read_buffer(min(size - done, 1 << 20))
    if not data:
        sys.exit(f"{path} ends at {done} of {size} bytes")
    digest.update(data)
    done += len(data)
print(size, digest.hexdigest())
