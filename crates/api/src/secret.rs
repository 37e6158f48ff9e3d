//! Keeps a secret on its way to the daemon from being printed or left in memory.
use std::fmt;

use zeroize::Zeroize;

use crate::v1::Secret;

impl Secret {
    /// Takes the raw bytes of a secret.
    #[must_use]
    pub fn new(value: impl Into<Vec<u8>>) -> Self {
        Self {
            value: value.into(),
        }
    }

    /// The raw bytes. What is copied out of here is no longer guarded by this type.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.value
    }

    /// Whether there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.value.is_empty()
    }
}

/// Never shows the bytes, nor how many there are.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Wipes the bytes. Copies that the RPC library made while sending or receiving are beyond its reach.
impl Drop for Secret {
    fn drop(&mut self) {
        self.value.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v1::{LoginOptions, LoginRequest};

    #[test]
    fn debug_output_of_a_request_shows_no_byte_of_a_secret() {
        let request = LoginRequest {
            login_options: Some(LoginOptions {
                secret: Some(Secret::new("tell-nobody-4711")),
                mutual_secret: Some(Secret::new("tell-nobody-0815")),
                ..LoginOptions::default()
            }),
            preshared_key: Some(Secret::new("tell-nobody-1234")),
            ..LoginRequest::default()
        };
        for shown in [format!("{request:?}"), format!("{request:#?}")] {
            assert_eq!(shown.matches("Secret(..)").count(), 3, "{shown}");
            assert!(!shown.contains("tell-nobody"), "{shown}");
            // As numbers, which is how a byte vector prints: 't' 'e' 'l' 'l'.
            assert!(!shown.contains("116, 101, 108"), "{shown}");
        }
    }
}
