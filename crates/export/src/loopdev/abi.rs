//! The loop driver's interface, from `linux/loop.h` and `linux/major.h`.

/// The block major of loop devices.
pub(super) const LOOP_MAJOR: u32 = 7;

pub(super) const LOOP_CLR_FD: libc::Ioctl = 0x4C01;
pub(super) const LOOP_SET_STATUS64: libc::Ioctl = 0x4C04;
pub(super) const LOOP_GET_STATUS64: libc::Ioctl = 0x4C05;
pub(super) const LOOP_SET_CAPACITY: libc::Ioctl = 0x4C07;
pub(super) const LOOP_CONFIGURE: libc::Ioctl = 0x4C0A;
pub(super) const LOOP_CTL_GET_FREE: libc::Ioctl = 0x4C82;

pub(super) const LO_FLAGS_READ_ONLY: u32 = 1;
pub(super) const LO_FLAGS_PARTSCAN: u32 = 8;
pub(super) const LO_FLAGS_DIRECT_IO: u32 = 16;

/// Bytes of `lo_file_name`, with its final NUL.
pub(super) const LO_NAME_SIZE: usize = 64;

/// `struct loop_info64`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(super) struct LoopInfo64 {
    pub(super) lo_device: u64,
    pub(super) lo_inode: u64,
    pub(super) lo_rdevice: u64,
    pub(super) lo_offset: u64,
    pub(super) lo_sizelimit: u64,
    pub(super) lo_number: u32,
    pub(super) lo_encrypt_type: u32,
    pub(super) lo_encrypt_key_size: u32,
    pub(super) lo_flags: u32,
    pub(super) lo_file_name: [u8; LO_NAME_SIZE],
    pub(super) lo_crypt_name: [u8; LO_NAME_SIZE],
    pub(super) lo_encrypt_key: [u8; 32],
    pub(super) lo_init: [u64; 2],
}

/// `struct loop_config`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(super) struct LoopConfig {
    pub(super) fd: u32,
    pub(super) block_size: u32,
    pub(super) info: LoopInfo64,
    pub(super) reserved: [u64; 8],
}

impl LoopConfig {
    /// A configuration with these flags and block size; the descriptor is filled in later.
    pub(super) fn new(flags: u32, block_size: u32, name: &[u8]) -> Self {
        let mut lo_file_name = [0; LO_NAME_SIZE];
        // The last byte stays NUL.
        lo_file_name
            .iter_mut()
            .take(LO_NAME_SIZE - 1)
            .zip(name)
            .for_each(|(to, from)| *to = *from);
        let info = LoopInfo64 {
            lo_device: 0,
            lo_inode: 0,
            lo_rdevice: 0,
            lo_offset: 0,
            lo_sizelimit: 0,
            lo_number: 0,
            lo_encrypt_type: 0,
            lo_encrypt_key_size: 0,
            lo_flags: flags,
            lo_file_name,
            lo_crypt_name: [0; LO_NAME_SIZE],
            lo_encrypt_key: [0; 32],
            lo_init: [0; 2],
        };
        Self {
            fd: 0,
            block_size,
            info,
            reserved: [0; 8],
        }
    }
}

// The sizes that the kernel's headers give on every architecture.
const _: () = assert!(size_of::<LoopInfo64>() == 232);
const _: () = assert!(size_of::<LoopConfig>() == 304);
