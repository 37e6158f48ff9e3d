//! Builds SCSI CDBs and reads what comes back.
#![forbid(unsafe_code)]
