//! The service: wires engine, store, exports and RPC; owns all policy and lifetimes.
//!
//! [`run`] is the one entry. In the order of a volume's way: [`discovery`] makes targets known,
//! [`logins`] makes [`sessions`] with them, [`devices`] shows their disks, [`volumes`] binds what is on
//! those, and [`boot`] brings it all back after a restart. [`rpc`] is how others ask for it;
//! [`security`] says who may; [`shared_secrets`] warns of CHAP secrets that lie in several hands.
//! [`isns`], [`radius`] and [`ipsec`] keep settings that nothing acts upon yet; [`numbers`] is how the
//! Discovery Library calls targets, LUNs and devices.
#![deny(unsafe_code)]

mod boot;
mod children;
mod config;
mod connections;
mod convert;
mod daemon;
mod data_threads;
mod device_number;
mod devices;
mod discovery;
mod events;
mod failures;
mod initiators;
mod instance;
mod ipsec;
mod isns;
mod logins;
mod moves;
mod numbers;
mod passing;
mod radius;
mod records;
mod rpc;
mod run;
mod security;
mod sessions;
mod shared_secrets;
mod volumes;
mod whereabouts;

pub use config::{Config, ConfigError, Overrides};
pub use hawser_export::{ExportMode, become_io_flusher};
pub use instance::InstanceError;
pub use run::{RunError, run, run_until};
