//! The real program from outside: commands, exit codes, the main job on two targets, `bench`, `demo`.
//!
//! Mounts and loop devices are made for real, so these tests need root, `/dev/fuse` and loop devices.

mod bench;
mod commands;
mod connections;
mod demo;
mod failures;
mod hawser;
mod iscsicli;
mod machine;
mod main_job;
mod targets;
mod terminal;
mod traffic;
mod without_daemon;
