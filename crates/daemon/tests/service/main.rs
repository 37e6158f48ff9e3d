//! The daemon against the embedded target and tgt: the main job, and what can go wrong in it.

mod bound;
mod connections;
mod full_disk;
mod instance;
mod logins;
mod many;
mod mounted;
mod numbers;
mod secrets;
mod settings;
mod showing;
mod support;
