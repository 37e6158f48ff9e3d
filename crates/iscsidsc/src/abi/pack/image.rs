//! The bytes of a report, before they are anywhere in the caller's memory.

use crate::abi::strings::{Unit, clean};
use crate::abi::types::{GUID, ISCSI_UNIQUE_SESSION_ID};

/// A value that stands in a struct as its bytes.
pub(crate) trait Plain: Copy {
    /// Writes it to `bytes`, which are as many as the value has.
    fn store(&self, bytes: &mut [u8]);
}

macro_rules! plain_numbers {
    ($($type:ty),*) => {
        $(impl Plain for $type {
            fn store(&self, bytes: &mut [u8]) {
                bytes.copy_from_slice(&self.to_ne_bytes());
            }
        })*
    };
}
plain_numbers!(u8, u16, u32, i32, u64);

impl<C: Unit, const N: usize> Plain for [C; N] {
    fn store(&self, bytes: &mut [u8]) {
        for (unit, bytes) in self.iter().zip(bytes.chunks_exact_mut(size_of::<C>())) {
            unit.store(bytes);
        }
    }
}

impl Plain for ISCSI_UNIQUE_SESSION_ID {
    fn store(&self, bytes: &mut [u8]) {
        self.AdapterUnique.store(&mut bytes[..8]);
        self.AdapterSpecific.store(&mut bytes[8..]);
    }
}

impl Plain for GUID {
    fn store(&self, bytes: &mut [u8]) {
        self.Data1.store(&mut bytes[..4]);
        self.Data2.store(&mut bytes[4..6]);
        self.Data3.store(&mut bytes[6..8]);
        self.Data4.store(&mut bytes[8..]);
    }
}

/// The bytes of a report, and where in them pointers to others of them stand.
///
/// Offsets are from its start; what is not put is zero, a pointer that is not linked NULL.
#[derive(Debug, Clone, Default)]
pub(crate) struct Image {
    bytes: Vec<u8>,
    /// Where a pointer stands, and what it leads to.
    links: Vec<(usize, usize)>,
}

/// Puts values to fields of the struct at an offset of an image; a value must have the type of its field.
macro_rules! put {
    ($image:expr, $at:expr, $type:ty { $($field:ident: $value:expr),* $(,)? }) => {
        $($image.put_field(
            $at + std::mem::offset_of!($type, $field),
            |of: &$type| &of.$field,
            $value,
        );)*
    };
}
pub(crate) use put;

/// Makes the pointer fields of the struct at an offset of an image lead to other offsets of it.
macro_rules! point {
    ($image:expr, $at:expr, $type:ty { $($field:ident: $to:expr),* $(,)? }) => {
        $({
            let to = $to;
            $image.link($at + std::mem::offset_of!($type, $field), to);
        })*
    };
}
pub(crate) use point;

impl Image {
    /// How many bytes it has.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Its bytes, in which pointers are NULL.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Where its pointers stand and what they lead to.
    #[cfg(test)]
    pub(crate) fn links(&self) -> &[(usize, usize)] {
        &self.links
    }

    /// Adds `count` structs `S` of zeros, aligned as `S` is, and gives the offset of the first.
    pub(crate) fn array<S>(&mut self, count: usize) -> usize {
        let start = self.bytes.len().next_multiple_of(align_of::<S>());
        if count > 0 {
            self.bytes.resize(start + count * size_of::<S>(), 0);
        }
        start
    }

    /// Adds `count` bytes of zeros, not aligned, and gives the offset of the first.
    pub(crate) fn gap(&mut self, count: usize) -> usize {
        let start = self.bytes.len();
        self.bytes.resize(start + count, 0);
        start
    }

    /// Adds bytes that need no alignment and gives their offset.
    pub(crate) fn blob(&mut self, blob: &[u8]) -> usize {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(blob);
        start
    }

    /// Adds one value and gives its offset.
    pub(crate) fn value<V: Plain>(&mut self, value: &V) -> usize {
        let start = self.array::<V>(1);
        value.store(&mut self.bytes[start..start + size_of::<V>()]);
        start
    }

    /// Adds a text with its NUL and gives its offset.
    pub(crate) fn text<C: Unit>(&mut self, text: &str) -> usize {
        let units = clean::<C>(text);
        let start = self.array::<C>(units.len() + 1);
        let width = size_of::<C>();
        for (unit, bytes) in units
            .iter()
            .zip(self.bytes[start..].chunks_exact_mut(width))
        {
            unit.store(bytes);
        }
        start
    }

    /// Adds a list of texts: each with its NUL, and one more NUL (§1.4). A text that is empty would end the list, so it is
    /// left out; a list without texts is two NULs (§1.3).
    pub(crate) fn multi_sz<C: Unit>(&mut self, list: &[String]) {
        let before = self.len();
        for text in list.iter().filter(|text| !clean::<C>(text).is_empty()) {
            self.text::<C>(text);
        }
        if self.len() == before {
            self.array::<C>(1);
        }
        self.array::<C>(1);
    }

    /// Puts a value at an offset; `_field` tells the compiler which type the value must have. See [`put!`].
    pub(crate) fn put_field<S, V: Plain>(
        &mut self,
        at: usize,
        _field: impl Fn(&S) -> &V,
        value: V,
    ) {
        value.store(&mut self.bytes[at..at + size_of::<V>()]);
    }

    /// Makes the pointer at offset `at` lead to offset `to`.
    pub(crate) fn link(&mut self, at: usize, to: usize) {
        self.links.push((at, to));
    }

    /// Copies the image to `buffer`; its pointers then lead into that.
    ///
    /// # Safety
    /// [`len`](Self::len) bytes from `buffer` on can be written. It need not be aligned.
    pub(crate) unsafe fn copy_to(&self, buffer: *mut u8) {
        // SAFETY: the caller vouches for so many bytes, and `bytes` is our own, so they do not overlap.
        unsafe { buffer.copy_from_nonoverlapping(self.bytes.as_ptr(), self.bytes.len()) };
        for &(at, to) in &self.links {
            debug_assert!(at + size_of::<*mut u8>() <= self.len() && to < self.len());
            // SAFETY: both offsets are of this image: `point!` gives those of fields of structs that `array` made, and of
            // what `array`, `text` and `blob` added. The store is an unaligned one.
            unsafe {
                let target = buffer.add(to);
                buffer.add(at).cast::<*mut u8>().write_unaligned(target);
            }
        }
    }
}
