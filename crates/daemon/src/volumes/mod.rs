//! Bound volumes: what must be there before the services that live on it may start.

mod mountinfo;
mod owner;
mod resolve;
mod sysfs;
mod tools;
