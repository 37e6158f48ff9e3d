//! The conformance lists, line by line, against a target of raw bytes that the tests step by hand
//! (`hawser_testkit::scripted`). docs/conformance.md says which test holds which line.
//!
//! `ffp_*`: the full feature phase suite for initiators of the UNH-IOL. `sup_*`: our supplement.
//! `login_*`, `chap_*`: the titles of the UNH-IOL suites for the login phase and CHAP.

mod core;
mod ffp_commands;
mod ffp_data;
mod ffp_events;
mod ffp_numbers;
mod ffp_recovery;
mod ffp_tasks;
mod ffp_text;
mod support;
