//! CRC32C, bit by bit (RFC 7143 §13.1).

/// The Castagnoli polynomial 0x1edc6f41, with its bits in reverse.
const POLYNOMIAL: u32 = 0x82f6_3b78;

/// The digest of `bytes` as it stands on the wire: the least significant byte first.
#[must_use]
pub fn crc32c(bytes: &[u8]) -> [u8; 4] {
    let mut crc = u32::MAX;
    for &byte in bytes {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            let carry = crc & 1;
            crc >>= 1;
            if carry == 1 {
                crc ^= POLYNOMIAL;
            }
        }
    }
    (!crc).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of RFC 7143 Appendix A.4.
    #[test]
    fn the_examples_of_the_rfc() {
        assert_eq!(crc32c(&[0; 32]), [0xaa, 0x36, 0x91, 0x8a]);
        assert_eq!(crc32c(&[0xff; 32]), [0x43, 0xab, 0xa8, 0x62]);
        let rising: Vec<u8> = (0..32).collect();
        assert_eq!(crc32c(&rising), [0x4e, 0x79, 0xdd, 0x46]);
        let falling: Vec<u8> = (0..32).rev().collect();
        assert_eq!(crc32c(&falling), [0x5c, 0xdb, 0x3f, 0x11]);
    }
}
