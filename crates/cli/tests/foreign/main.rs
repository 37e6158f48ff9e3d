//! The whole of Hawser, as its user runs it, on targets and under tools that nobody here wrote: the real
//! program, its daemon, tgt and istgt behind it, ext4, fio and qemu-img in front.

mod exports;
mod judge;
mod rig;
