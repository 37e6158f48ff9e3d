//! A disk in memory: the simplest device, for tests of what shows disks.

use std::sync::{Mutex, PoisonError};

use crate::{BlockDevice, BlockError, Geometry, Operation, Request};

/// A disk in memory. Requests complete inside `submit`.
#[derive(Debug)]
pub struct MemoryDevice {
    geometry: Geometry,
    data: Mutex<Vec<u8>>,
}

impl MemoryDevice {
    /// A zeroed, writable disk of `blocks` blocks of `block_size` bytes, with discard and
    /// write-zeroes and no volatile cache.
    #[must_use]
    pub fn new(blocks: usize, block_size: u32) -> Self {
        let size = blocks * block_size as usize;
        let geometry = Geometry {
            size: size as u64,
            block_size,
            physical_block_size: block_size,
            optimal_transfer: 0,
            read_only: false,
            can_discard: true,
            can_write_zeroes: true,
            volatile_cache: false,
        };
        Self {
            geometry,
            data: Mutex::new(vec![0; size]),
        }
    }

    fn carry_out(&self, request: &mut Request) -> Result<(), BlockError> {
        request.check(&self.geometry)?;
        let start = request.offset as usize;
        let end = start + request.length() as usize;
        let mut data = self.data.lock().unwrap_or_else(PoisonError::into_inner);
        match request.operation {
            Operation::Read => request.buffer.copy_from_slice(&data[start..end]),
            Operation::Write { .. } => data[start..end].copy_from_slice(&request.buffer),
            Operation::Flush => {}
            Operation::Discard { .. } | Operation::WriteZeroes { .. } => data[start..end].fill(0),
        }
        Ok(())
    }
}

impl BlockDevice for MemoryDevice {
    fn geometry(&self) -> Geometry {
        self.geometry
    }

    fn submit(&self, mut request: Request) {
        let result = self.carry_out(&mut request);
        request.complete(result);
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;
    use crate::{ErrorKind, submit};

    fn now<F: Future>(future: F) -> F::Output {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(output) => output,
            Poll::Pending => panic!("a memory device completes at once"),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let disk = MemoryDevice::new(8, 512);
        let (_, written) = now(submit(
            &disk,
            Operation::Write { fua: false },
            512,
            vec![7; 1024],
        ));
        written.unwrap();
        let (data, read) = now(submit(&disk, Operation::Read, 0, vec![1; 2048]));
        read.unwrap();
        assert_eq!(data, [vec![0; 512], vec![7; 1024], vec![0; 512]].concat());
    }

    #[test]
    fn bad_requests_are_refused_and_give_the_buffer_back() {
        let disk = MemoryDevice::new(8, 512);
        for (offset, length, kind) in [
            (1, 512, ErrorKind::Unaligned),
            (0, 100, ErrorKind::Unaligned),
            (3584, 1024, ErrorKind::OutOfRange),
            (u64::MAX - 511, 512, ErrorKind::OutOfRange),
        ] {
            let (buffer, result) = now(submit(&disk, Operation::Read, offset, vec![9; length]));
            assert_eq!(result.unwrap_err().kind(), kind, "{offset} {length}");
            assert_eq!(buffer, vec![9; length]);
        }
    }

    #[test]
    fn zeroes_are_zeroes() {
        let disk = MemoryDevice::new(4, 512);
        now(submit(
            &disk,
            Operation::Write { fua: true },
            0,
            vec![7; 2048],
        ))
        .1
        .unwrap();
        let zero = Operation::WriteZeroes {
            length: 1024,
            fua: false,
            may_unmap: true,
        };
        now(submit(&disk, zero, 512, Vec::new())).1.unwrap();
        let (data, read) = now(submit(&disk, Operation::Read, 0, vec![0; 2048]));
        read.unwrap();
        assert_eq!(data, [vec![7; 512], vec![0; 1024], vec![7; 512]].concat());
    }
}
