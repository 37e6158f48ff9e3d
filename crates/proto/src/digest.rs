//! The CRC32C digests of headers and data (RFC 7143 §13.1), computed by the processor's own
//! instructions.

/// The bytes a digest takes on the wire.
pub const DIGEST_LENGTH: usize = 4;

/// The CRC32C of `bytes`: Castagnoli polynomial, reflected, all-ones at both ends.
///
/// On the wire it travels little-endian; [`wire_digest`] gives it in that form.
#[must_use]
pub fn crc32c(bytes: &[u8]) -> u32 {
    ::crc32c::crc32c(bytes)
}

/// The digest of `bytes` as it stands on the wire.
#[must_use]
pub fn wire_digest(bytes: &[u8]) -> [u8; DIGEST_LENGTH] {
    crc32c(bytes).to_le_bytes()
}

/// A digest taken piece by piece; how the bytes are cut into pieces makes no difference.
///
/// It lives on the stack and allocates nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Digest(u32);

impl Digest {
    /// The digest of nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes in.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0 = ::crc32c::crc32c_append(self.0, bytes);
    }

    /// Begins again, as if new.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// The digest of all bytes taken in, as it stands on the wire.
    #[must_use]
    pub fn finish(&self) -> [u8; DIGEST_LENGTH] {
        self.0.to_le_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of RFC 7143 Appendix A.4 and the check value of the CRC catalogue.
    fn vectors() -> Vec<(Vec<u8>, [u8; 4])> {
        let read_10_header = [
            0x01, 0xc0, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
            0x00, 0x00, 0x14, 0x00, 0x00, 0x00, 0x00, 0x00, 0x04, 0x00, 0x00, 0x00, 0x00, 0x14,
            0x00, 0x00, 0x00, 0x18, 0x28, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x00,
            0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        ];
        vec![
            (vec![0x00; 32], [0xaa, 0x36, 0x91, 0x8a]),
            (vec![0xff; 32], [0x43, 0xab, 0xa8, 0x62]),
            ((0x00..=0x1f).collect(), [0x4e, 0x79, 0xdd, 0x46]),
            ((0x00..=0x1f).rev().collect(), [0x5c, 0xdb, 0x3f, 0x11]),
            (read_10_header.to_vec(), [0x56, 0x3a, 0x96, 0xd9]),
            (b"123456789".to_vec(), [0x83, 0x92, 0x06, 0xe3]),
            (Vec::new(), [0x00, 0x00, 0x00, 0x00]),
        ]
    }

    #[test]
    fn digests_agree_with_the_published_vectors() {
        for (bytes, wire) in vectors() {
            assert_eq!(wire_digest(&bytes), wire, "of {bytes:02x?}");
            assert_eq!(crc32c(&bytes), u32::from_le_bytes(wire));
        }
    }

    #[test]
    fn a_digest_does_not_depend_on_the_pieces() {
        let bytes: Vec<u8> = (0..10_007_u32).map(|n| (n * 31) as u8).collect();
        for piece in [1, 3, 48, 511, 4096] {
            let mut digest = Digest::new();
            digest.update(b"left over from the last PDU");
            digest.reset();
            for part in bytes.chunks(piece) {
                digest.update(part);
            }
            assert_eq!(digest.finish(), wire_digest(&bytes), "in pieces of {piece}");
        }
    }

    #[test]
    fn data_followed_by_its_digest_leaves_the_residue() {
        // RFC 7143 §13.1 gives the residue in polynomial form; a reflected routine returns this.
        for (mut bytes, wire) in vectors() {
            bytes.extend_from_slice(&wire);
            assert_eq!(crc32c(&bytes), 0x4867_4bc7);
        }
    }
}
