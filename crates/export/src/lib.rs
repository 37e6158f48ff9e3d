//! Shows any [`BlockDevice`](hawser_block::BlockDevice) to programs that know no Hawser: as an NBD
//! server, as a FUSE file, or as a FUSE file with a loop device on it.

mod built;
mod child;
mod export;
mod exporter;
pub mod fuse;
mod journal;
mod layout;
pub mod links;
pub mod loopdev;
mod mode;
mod mounts;
pub mod nbd;
mod stale;

pub use export::{Export, Removal};
pub use exporter::{ExportError, ExportRequest, Exporter};
pub use fuse::become_io_flusher;
pub use mode::{Capabilities, Declined, ExportMode, UnknownExportMode, capabilities};
pub use stale::{CleanUp, clean_up};
