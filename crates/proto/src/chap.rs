//! CHAP (RFC 1994) as iSCSI uses it (RFC 7143 §9.2, §12.1.3), for both roles: challenges, responses,
//! secrets that cannot be printed, and the checks against reflection.
//!
//! One side makes a [`Challenge`] from random bytes it is given and sends it; the other answers with
//! [`Challenge::respond`]; the first checks with [`Challenge::verify`], in constant time. Which
//! secrets may be used at all is said by [`SecretPolicy`] and [`check_distinct`].

use std::fmt;

use md5::Md5;
use sha1::Sha1;
use sha2::Sha256;
use sha3::Sha3_256;
use subtle::ConstantTimeEq;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::text::{
    MAX_BINARY_BYTES, ValueError, format_hex, list_items, parse_binary, parse_number,
};

/// RFC 7143 §9.2.1: a secret shorter than 96 bits is to be used only over an encrypted path.
pub const MIN_SECRET_BYTES: usize = 12;

/// How many bytes a challenge of our own has. RFC 1994 asks for a value that never repeats; 32 random
/// bytes also give the hashes with 32 bytes of output all they can use.
pub const CHALLENGE_BYTES: usize = 32;

/// Where a [`ChallengeLedger`] stops: more logins than this at one time no host makes.
pub const MAX_OUTSTANDING_CHALLENGES: usize = 4096;

/// What is wrong with a secret, a challenge or a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ChapError {
    /// The secret is shorter than the policy allows (RFC 7143 §9.2.1).
    #[error("the CHAP secret has {bytes} bytes; at least {minimum} are asked for")]
    SecretTooShort {
        /// Its length.
        bytes: usize,
        /// The length asked for.
        minimum: usize,
    },
    /// The same secret is configured for both directions (RFC 7143 §9.2.1).
    #[error("the CHAP secret of the initiator and that of the target are the same")]
    SecretsNotDistinct,
    /// `CHAP_A` is not the number of one algorithm.
    #[error("CHAP_A is not the number of one algorithm")]
    MalformedAlgorithm,
    /// `CHAP_I` is not a number from 0 to 255.
    #[error("CHAP_I is not a number from 0 to 255")]
    MalformedIdentifier,
    /// `CHAP_C` is not a binary of 1 to 1024 bytes.
    #[error("CHAP_C: {0}")]
    MalformedChallenge(ValueError),
    /// `CHAP_R` is not a binary of 1 to 1024 bytes.
    #[error("CHAP_R: {0}")]
    MalformedResponse(ValueError),
    /// `CHAP_R` has not the length of the algorithm's output.
    #[error("CHAP_R has {bytes} bytes; the algorithm gives {expected}")]
    ResponseLength {
        /// Its length.
        bytes: usize,
        /// The length of the algorithm's output.
        expected: usize,
    },
    /// The peer sent a challenge of our own back to us (RFC 7143 §9.2.1).
    #[error("the peer sent one of our own challenges back to us")]
    ReflectedChallenge,
    /// The peer answered our challenge with what we ourselves would have answered
    /// (RFC 7143 §9.2.1).
    #[error("the peer sent the response that we ourselves would have given")]
    ReflectedResponse,
    /// The response does not fit the challenge and the secret.
    #[error("the CHAP response is wrong")]
    WrongResponse,
}

/// A hash algorithm of CHAP, by its number in IANA's "PPP Authentication Algorithms" registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// 5: MD5, the one that every implementation has (RFC 7143 §12.1.3).
    Md5,
    /// 6: SHA-1.
    Sha1,
    /// 7: SHA-256.
    Sha256,
    /// 8: SHA3-256.
    Sha3_256,
}

impl Algorithm {
    /// All, strongest first. SHA3-256 stands before SHA-256, which is as wide, because it is the
    /// newer design and because open-iscsi documents the same order, so targets have met it.
    pub const STRONGEST_FIRST: [Self; 4] = [Self::Sha3_256, Self::Sha256, Self::Sha1, Self::Md5];

    /// The number on the wire.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Md5 => 5,
            Self::Sha1 => 6,
            Self::Sha256 => 7,
            Self::Sha3_256 => 8,
        }
    }

    /// The algorithm of that number, if we have it.
    #[must_use]
    pub fn from_number(number: u64) -> Option<Self> {
        Self::STRONGEST_FIRST
            .into_iter()
            .find(|a| u64::from(a.number()) == number)
    }

    /// How many bytes a response has.
    #[must_use]
    pub fn response_bytes(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha256 | Self::Sha3_256 => 32,
        }
    }

    /// The value of `CHAP_A` that proposes `algorithms` in this order.
    #[must_use]
    pub fn list(algorithms: &[Self]) -> String {
        let numbers: Vec<_> = algorithms.iter().map(|a| a.number().to_string()).collect();
        numbers.join(",")
    }

    /// The accepting side's choice: the first of the proposed list that is among `allowed`.
    #[must_use]
    pub fn choose(proposed: &str, allowed: &[Self]) -> Option<Self> {
        list_items(proposed)
            .filter_map(|item| Self::from_number(parse_number(item).ok()?))
            .find(|algorithm| allowed.contains(algorithm))
    }

    /// Reads the single number with which the accepting side answers `CHAP_A`. `Ok(None)` is a
    /// number that is no algorithm of ours.
    ///
    /// # Errors
    /// [`ChapError::MalformedAlgorithm`] for a list or anything else that is not a number.
    pub fn parse_choice(text: &str) -> Result<Option<Self>, ChapError> {
        parse_number(text)
            .map(Self::from_number)
            .map_err(|_| ChapError::MalformedAlgorithm)
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Md5 => "MD5",
            Self::Sha1 => "SHA-1",
            Self::Sha256 => "SHA-256",
            Self::Sha3_256 => "SHA3-256",
        })
    }
}

/// A CHAP secret: whole octets, wiped from memory when dropped, never printed. It has no `PartialEq`
/// on purpose; [`is_same_as`](Self::is_same_as) compares in constant time.
#[derive(Clone)]
pub struct ChapSecret(Zeroizing<Vec<u8>>);

impl ChapSecret {
    /// Takes a secret over. How long it must be is for [`SecretPolicy`] to say.
    #[must_use]
    pub fn new(octets: Vec<u8>) -> Self {
        Self(Zeroizing::new(octets))
    }

    /// Whether both are the same, in a time that depends only on their lengths.
    #[must_use]
    pub fn is_same_as(&self, other: &Self) -> bool {
        self.0.as_slice().ct_eq(other.0.as_slice()).into()
    }

    /// Its length in bytes.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        self.0.len()
    }
}

impl From<&str> for ChapSecret {
    fn from(text: &str) -> Self {
        Self::new(text.as_bytes().to_vec())
    }
}

impl fmt::Debug for ChapSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChapSecret(hidden)")
    }
}

/// How short a secret may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecretPolicy {
    /// The least length, in bytes.
    pub minimum: usize,
}

impl Default for SecretPolicy {
    /// RFC 7143 §9.2.1: 96 bits.
    fn default() -> Self {
        Self {
            minimum: MIN_SECRET_BYTES,
        }
    }
}

impl SecretPolicy {
    /// Whether `secret` may be used.
    ///
    /// # Errors
    /// [`ChapError::SecretTooShort`].
    pub fn check(self, secret: &ChapSecret) -> Result<(), ChapError> {
        let bytes = secret.byte_len();
        if bytes < self.minimum {
            return Err(ChapError::SecretTooShort {
                bytes,
                minimum: self.minimum,
            });
        }
        Ok(())
    }
}

/// RFC 7143 §9.2.1: the secrets of the two directions must differ.
///
/// # Errors
/// [`ChapError::SecretsNotDistinct`].
pub fn check_distinct(one: &ChapSecret, other: &ChapSecret) -> Result<(), ChapError> {
    if one.is_same_as(other) {
        Err(ChapError::SecretsNotDistinct)
    } else {
        Ok(())
    }
}

/// A challenge, our own or the peer's.
#[derive(Clone, PartialEq, Eq)]
pub struct Challenge {
    algorithm: Algorithm,
    identifier: u8,
    value: Vec<u8>,
}

impl Challenge {
    /// A challenge of our own, from random bytes that were never used before.
    #[must_use]
    pub fn from_random(
        algorithm: Algorithm,
        identifier: u8,
        random: [u8; CHALLENGE_BYTES],
    ) -> Self {
        Self {
            algorithm,
            identifier,
            value: random.to_vec(),
        }
    }

    /// The peer's challenge, from the values of `CHAP_I` and `CHAP_C`.
    ///
    /// # Errors
    /// [`ChapError::MalformedIdentifier`] or [`ChapError::MalformedChallenge`].
    pub fn parse(algorithm: Algorithm, chap_i: &str, chap_c: &str) -> Result<Self, ChapError> {
        let identifier = parse_number(chap_i)
            .ok()
            .and_then(|number| u8::try_from(number).ok())
            .ok_or(ChapError::MalformedIdentifier)?;
        let value =
            parse_binary(chap_c, MAX_BINARY_BYTES).map_err(ChapError::MalformedChallenge)?;
        Ok(Self {
            algorithm,
            identifier,
            value,
        })
    }

    /// The algorithm that the response will use.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The identifier octet.
    #[must_use]
    pub fn identifier(&self) -> u8 {
        self.identifier
    }

    /// The octets of the challenge.
    #[must_use]
    pub fn value(&self) -> &[u8] {
        &self.value
    }

    /// The value of `CHAP_I`: decimal, which every target reads.
    #[must_use]
    pub fn identifier_text(&self) -> String {
        self.identifier.to_string()
    }

    /// The value of `CHAP_C`: hexadecimal, which every target reads.
    #[must_use]
    pub fn value_text(&self) -> String {
        format_hex(&self.value)
    }

    /// RFC 1994 §4.1: the hash of identifier, secret and challenge, in this order.
    #[must_use]
    pub fn respond(&self, secret: &ChapSecret) -> Response {
        let parts = [&[self.identifier][..], secret.0.as_slice(), &self.value];
        Response(Zeroizing::new(match self.algorithm {
            Algorithm::Md5 => hash::<Md5>(parts),
            Algorithm::Sha1 => hash::<Sha1>(parts),
            Algorithm::Sha256 => hash::<Sha256>(parts),
            Algorithm::Sha3_256 => hash::<Sha3_256>(parts),
        }))
    }

    /// Judges the response to this challenge of ours. `secret` is the peer's; `own`, if we too have
    /// answered with a secret, is ours: a peer that gives the response we would give only reflects.
    ///
    /// # Errors
    /// [`ChapError::ResponseLength`], [`ChapError::ReflectedResponse`] or
    /// [`ChapError::WrongResponse`].
    pub fn verify(
        &self,
        response: &Response,
        secret: &ChapSecret,
        own: Option<&ChapSecret>,
    ) -> Result<(), ChapError> {
        let (bytes, expected) = (response.0.len(), self.algorithm.response_bytes());
        if bytes != expected {
            return Err(ChapError::ResponseLength { bytes, expected });
        }
        if own.is_some_and(|own| self.respond(own).is_same_as(response)) {
            return Err(ChapError::ReflectedResponse);
        }
        if self.respond(secret).is_same_as(response) {
            Ok(())
        } else {
            Err(ChapError::WrongResponse)
        }
    }

    /// RFC 7143 §9.2.1: whether the other side's challenge is one that we have out.
    ///
    /// # Errors
    /// [`ChapError::ReflectedChallenge`].
    pub fn check_fresh(&self, outstanding: &ChallengeLedger) -> Result<(), ChapError> {
        if outstanding.contains(&self.value) {
            return Err(ChapError::ReflectedChallenge);
        }
        Ok(())
    }
}

impl fmt::Debug for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Challenge({}, {} bytes)",
            self.algorithm,
            self.value.len()
        )
    }
}

fn hash<H: md5::Digest>(parts: [&[u8]; 3]) -> Vec<u8> {
    let mut hasher = H::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().to_vec()
}

/// The answer to a challenge. It is never printed: with a weak secret it is enough to guess that.
#[derive(Clone)]
pub struct Response(Zeroizing<Vec<u8>>);

impl Response {
    /// Reads the value of `CHAP_R`.
    ///
    /// # Errors
    /// [`ChapError::MalformedResponse`].
    pub fn parse(chap_r: &str) -> Result<Self, ChapError> {
        parse_binary(chap_r, MAX_BINARY_BYTES)
            .map(|octets| Self(Zeroizing::new(octets)))
            .map_err(ChapError::MalformedResponse)
    }

    /// The octets.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        &self.0
    }

    /// The value of `CHAP_R`: hexadecimal, which every target reads.
    #[must_use]
    pub fn to_text(&self) -> String {
        format_hex(&self.0)
    }

    /// Whether both are the same, in a time that depends only on their lengths.
    #[must_use]
    pub fn is_same_as(&self, other: &Self) -> bool {
        self.0.as_slice().ct_eq(other.0.as_slice()).into()
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Response(hidden)")
    }
}

/// The challenges that we have out on all connections (RFC 7143 §9.2.1). A peer that opens a second
/// connection to have us answer the challenge of the first is caught by it.
///
/// It is a plain set: whoever drives several logins keeps one, adds each login's own challenge before
/// the first byte is sent, takes it out when the login has ended, and lends it to the logins.
#[derive(Debug, Clone, Default)]
pub struct ChallengeLedger {
    values: Vec<Vec<u8>>,
}

impl ChallengeLedger {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a challenge of ours. Above [`MAX_OUTSTANDING_CHALLENGES`] the oldest is forgotten.
    pub fn insert(&mut self, value: &[u8]) {
        if self.values.len() >= MAX_OUTSTANDING_CHALLENGES {
            self.values.remove(0);
        }
        self.values.push(value.to_vec());
    }

    /// Takes a challenge out again.
    pub fn remove(&mut self, value: &[u8]) {
        self.values.retain(|known| known != value);
    }

    /// Whether the challenge is one of ours.
    #[must_use]
    pub fn contains(&self, value: &[u8]) -> bool {
        self.values.iter().any(|known| known == value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn octets(hex: &str) -> Vec<u8> {
        parse_binary(&format!("0x{hex}"), 1024).unwrap()
    }

    /// RFC 2865 §7.2: a CHAP user `flopsy` with password `arctangent`.
    #[test]
    fn md5_vector_of_rfc_2865() {
        let challenge =
            Challenge::parse(Algorithm::Md5, "0x16", "0x2aee86f08d0d55969ca5978e0d3367a2").unwrap();
        let response = challenge.respond(&"arctangent".into());
        assert_eq!(
            response.octets(),
            octets("e97557c316185895f293ff6344077275")
        );
    }

    /// Computed with Python's hashlib: identifier 0x2a, secret `targetsecret12345`, challenge
    /// 40 41 … 4f (radius vector V2 is the first).
    #[test]
    fn sup_c01_a_vector_for_each_algorithm() {
        let secret = ChapSecret::from("targetsecret12345");
        for (number, expected) in [
            (5, "02cc614990ecb60160f69b6f11b6ebc2"),
            (6, "81077046ff50f89a929536cac9e032dec410c818"),
            (
                7,
                "df3f960c9f4d5fcb895d5243edb955dd9a4df9512d45788875e74c38d5a3789f",
            ),
            (
                8,
                "2cee5e072e27e1c283c4276572bafbf441e0236dc20714680dbc9df57780d781",
            ),
        ] {
            let algorithm = Algorithm::from_number(number).unwrap();
            let challenge =
                Challenge::parse(algorithm, "42", "0bQEFCQ0RFRkdISUpLTE1OTw==").unwrap();
            let response = challenge.respond(&secret);
            assert_eq!(response.octets(), octets(expected), "{algorithm}");
            assert_eq!(response.octets().len(), algorithm.response_bytes());
            assert_eq!(challenge.verify(&response, &secret, None), Ok(()));
            let wrong = ChapSecret::from("targetsecret12346");
            assert_eq!(
                challenge.verify(&response, &wrong, None),
                Err(ChapError::WrongResponse)
            );
        }
        assert_eq!(Algorithm::from_number(9), None);
    }

    #[test]
    fn sup_c01_the_list_and_the_choice() {
        assert_eq!(Algorithm::list(&Algorithm::STRONGEST_FIRST), "8,7,6,5");
        assert_eq!(Algorithm::list(&[Algorithm::Md5]), "5");
        let all = &Algorithm::STRONGEST_FIRST;
        assert_eq!(Algorithm::choose("7,5", all), Some(Algorithm::Sha256));
        assert_eq!(Algorithm::choose("9,x,0x5", all), Some(Algorithm::Md5));
        assert_eq!(Algorithm::choose("8,7", &[Algorithm::Md5]), None);
        assert_eq!(Algorithm::parse_choice("5"), Ok(Some(Algorithm::Md5)));
        assert_eq!(Algorithm::parse_choice("4"), Ok(None));
        assert_eq!(
            Algorithm::parse_choice("5,7"),
            Err(ChapError::MalformedAlgorithm)
        );
        assert_eq!(
            Algorithm::parse_choice("Reject"),
            Err(ChapError::MalformedAlgorithm)
        );
    }

    #[test]
    fn sup_c03_identifiers_and_challenges() {
        let parse = |i: &str, c: &str| Challenge::parse(Algorithm::Md5, i, c);
        assert_eq!(parse("255", "0xabc").unwrap().value(), [0x0a, 0xbc]);
        assert_eq!(parse("0x0", "0XFF").unwrap().identifier(), 0);
        for bad in ["256", "-1", "", "x", "0b00"] {
            assert_eq!(parse(bad, "0xff"), Err(ChapError::MalformedIdentifier));
        }
        for bad in ["", "0x", "ff", "255"] {
            let error = ChapError::MalformedChallenge(ValueError::NotABinary);
            assert_eq!(parse("1", bad), Err(error));
        }
        assert_eq!(
            parse("1", &format_hex(&[7; 1024])).unwrap().value().len(),
            1024
        );
        let error = ChapError::MalformedChallenge(ValueError::TooLong { limit: 1024 });
        assert_eq!(parse("1", &format_hex(&[7; 1025])), Err(error));
    }

    #[test]
    fn sup_c05_reflection_is_seen() {
        let (ours, theirs) = (
            ChapSecret::from("initiatorsecret"),
            ChapSecret::from("targetsecret1"),
        );
        let challenge = Challenge::from_random(Algorithm::Sha256, 1, [9; CHALLENGE_BYTES]);
        let reflected = challenge.respond(&ours);
        assert_eq!(
            challenge.verify(&reflected, &theirs, Some(&ours)),
            Err(ChapError::ReflectedResponse)
        );

        let mut ledger = ChallengeLedger::new();
        ledger.insert(challenge.value());
        let sent_back = Challenge::parse(Algorithm::Md5, "200", &challenge.value_text()).unwrap();
        assert_eq!(
            sent_back.check_fresh(&ledger),
            Err(ChapError::ReflectedChallenge)
        );
        ledger.remove(challenge.value());
        assert_eq!(sent_back.check_fresh(&ledger), Ok(()));
    }

    #[test]
    fn a_response_of_another_length_is_refused() {
        let challenge = Challenge::from_random(Algorithm::Md5, 1, [9; CHALLENGE_BYTES]);
        let response = Response::parse(&format_hex(&[1; 20])).unwrap();
        assert_eq!(
            challenge.verify(&response, &"targetsecret1".into(), None),
            Err(ChapError::ResponseLength {
                bytes: 20,
                expected: 16
            })
        );
    }

    #[test]
    fn sup_c06_sup_c07_what_secrets_may_be() {
        let policy = SecretPolicy::default();
        let short = ChapError::SecretTooShort {
            bytes: 11,
            minimum: 12,
        };
        assert_eq!(policy.check(&"12345678901".into()), Err(short));
        assert_eq!(policy.check(&"123456789012".into()), Ok(()));
        assert_eq!(SecretPolicy { minimum: 1 }.check(&"1".into()), Ok(()));
        let error = check_distinct(&"123456789012".into(), &"123456789012".into());
        assert_eq!(error, Err(ChapError::SecretsNotDistinct));
        assert_eq!(
            check_distinct(&"123456789012".into(), &"1234567890123".into()),
            Ok(())
        );
    }

    #[test]
    fn sup_c10_nothing_secret_is_printed() {
        let secret = ChapSecret::from("verysecretsecret");
        let challenge = Challenge::from_random(Algorithm::Md5, 1, [0xab; CHALLENGE_BYTES]);
        let response = challenge.respond(&secret);
        let shown = format!("{secret:?} {response:?} {challenge:?}");
        assert!(!shown.contains("verysecret"));
        assert!(!shown.contains(&response.to_text()[2..]));
    }

    #[test]
    fn the_ledger_has_a_bound() {
        let mut ledger = ChallengeLedger::new();
        for n in 0..=MAX_OUTSTANDING_CHALLENGES {
            ledger.insert(&n.to_be_bytes());
        }
        assert!(!ledger.contains(&0usize.to_be_bytes()));
        assert!(ledger.contains(&MAX_OUTSTANDING_CHALLENGES.to_be_bytes()));
        assert_eq!(ledger.values.len(), MAX_OUTSTANDING_CHALLENGES);
    }
}
