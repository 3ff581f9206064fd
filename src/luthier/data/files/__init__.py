"""The bytes of files: as they lie on the disk, packed, or in archives; their encodings; and the records that readers yield."""
