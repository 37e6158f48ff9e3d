//! CHAP responses as RFC 1994 §4.1 computes them: a hash over identifier, secret and challenge.

use md5::{Digest, Md5};
use sha1::Sha1;
use sha2::Sha256;
use sha3::Sha3_256;

/// The response to a challenge by the algorithm with this number in the PPP authentication algorithms
/// of the IANA: 5 is MD5, 6 SHA-1, 7 SHA-256, 8 SHA3-256.
///
/// # Panics
/// With another number.
#[must_use]
pub fn response(algorithm: u8, identifier: u8, secret: &[u8], challenge: &[u8]) -> Vec<u8> {
    let input = [&[identifier], secret, challenge].concat();
    match algorithm {
        5 => Md5::digest(&input).to_vec(),
        6 => Sha1::digest(&input).to_vec(),
        7 => Sha256::digest(&input).to_vec(),
        8 => Sha3_256::digest(&input).to_vec(),
        other => panic!("{other} is no CHAP algorithm"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scripted::text::hex;

    /// The example of RFC 2865 §7.2, whose challenge is the request's authenticator.
    #[test]
    fn the_example_of_rfc_2865() {
        let challenge = 0x2aee_86f0_8d0d_5596_9ca5_978e_0d33_67a2_u128.to_be_bytes();
        let response = response(5, 0x16, b"arctangent", &challenge);
        assert_eq!(hex(&response), "0xe97557c316185895f293ff6344077275");
    }
}
