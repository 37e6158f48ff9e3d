//! Shows a BlockDevice as FUSE file, loop device or NBD server.
