//! Shows any [`BlockDevice`](hawser_block::BlockDevice) to programs that know no Hawser: as an NBD
//! server, as a FUSE file, or as a FUSE file with a loop device on it.

pub mod nbd;
