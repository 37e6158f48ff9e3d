//! Shows any [`BlockDevice`](hawser_block::BlockDevice) to programs that know no Hawser: as an NBD
//! server, as a FUSE file, or as a FUSE file with a loop device on it.

mod exporter;
mod layout;
pub mod links;
mod mode;
pub mod nbd;

pub use exporter::{Export, ExportError, ExportRequest, Exporter, Removal};
pub use mode::{Declined, ExportMode, UnknownExportMode};
