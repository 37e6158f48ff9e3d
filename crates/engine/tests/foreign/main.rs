//! The engine against targets that nobody here wrote: tgt and istgt.

mod istgt;
mod istgt_connections;
mod support;
mod tgt_connections;
mod tgt_faults;
mod tgt_io;
mod tgt_login;
