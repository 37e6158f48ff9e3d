//! The security stage of a login: AuthMethod and CHAP (RFC 7143 §12.1).

use hawser_proto::chap::{Algorithm, CHALLENGE_BYTES, Challenge, Response};
use hawser_proto::pdu::LoginStatus;
use hawser_proto::text::{Key, NONE, PairWriter, REJECT, list_items, spec};

use crate::config::ChapConfig;

/// The one method that we have.
const CHAP: &str = "CHAP";

/// How many random bytes a login needs: an identifier and a challenge.
pub(crate) const RANDOM_BYTES: usize = 1 + CHALLENGE_BYTES;

/// Where the proof of the initiator stands.
#[derive(Debug)]
enum State {
    /// No method is agreed on.
    Open,
    /// We proposed a method, for the initiator did not.
    Proposed,
    /// CHAP is agreed on: `CHAP_A` comes next.
    Agreed,
    /// Our challenge is out: `CHAP_N` and `CHAP_R` come next.
    Challenged(Challenge),
    /// Nothing more is asked for.
    Passed,
}

/// The security keys of one text.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct SecurityKeys<'a> {
    pub(crate) method: Option<&'a str>,
    pub(crate) algorithms: Option<&'a str>,
    pub(crate) identifier: Option<&'a str>,
    pub(crate) challenge: Option<&'a str>,
    pub(crate) name: Option<&'a str>,
    pub(crate) response: Option<&'a str>,
}

impl<'a> SecurityKeys<'a> {
    /// Takes in one key; those of other methods are left aside.
    pub(crate) fn put(&mut self, key: Key, value: &'a str) {
        let place = match key {
            Key::AuthMethod => &mut self.method,
            Key::ChapA => &mut self.algorithms,
            Key::ChapI => &mut self.identifier,
            Key::ChapC => &mut self.challenge,
            Key::ChapN => &mut self.name,
            Key::ChapR => &mut self.response,
            _ => return,
        };
        *place = Some(value);
    }
}

/// The target's side of the security stage.
#[derive(Debug)]
pub(crate) struct Security {
    chap: Option<ChapConfig>,
    state: State,
    random: [u8; RANDOM_BYTES],
}

impl Security {
    /// Demands CHAP if `chap` is given. `random` must never have been used before.
    pub(crate) fn new(chap: Option<ChapConfig>, random: [u8; RANDOM_BYTES]) -> Self {
        let state = if chap.is_some() {
            State::Open
        } else {
            State::Passed
        };
        Self {
            chap,
            state,
            random,
        }
    }

    /// Whether the initiator has proved what it must.
    pub(crate) fn is_passed(&self) -> bool {
        matches!(self.state, State::Passed)
    }

    /// Takes in the security keys of one text and writes the answers.
    ///
    /// # Errors
    /// The status to refuse the login with.
    pub(crate) fn answer(
        &mut self,
        keys: SecurityKeys<'_>,
        out: &mut PairWriter,
    ) -> Result<(), LoginStatus> {
        if let Some(methods) = keys.method {
            self.choose_method(methods, out)?;
        }
        let Some(chap) = &self.chap else {
            // Nobody asked for them.
            let unasked = keys.algorithms.or(keys.name).or(keys.response);
            return unasked.map_or(Ok(()), |_| Err(LoginStatus::INITIATOR_ERROR));
        };
        match &self.state {
            State::Agreed if keys.algorithms.is_some() => {
                let challenge = challenge(keys, &chap.algorithms, self.random)?;
                out.push(
                    name(Key::ChapA),
                    &challenge.algorithm().number().to_string(),
                );
                out.push(name(Key::ChapI), &challenge.identifier_text());
                out.push(name(Key::ChapC), &challenge.value_text());
                self.state = State::Challenged(challenge);
            }
            State::Challenged(challenge) => {
                verify(chap, challenge, keys)?;
                prove(chap, challenge, keys, out)?;
                self.state = State::Passed;
            }
            _ => {
                let early = keys
                    .algorithms
                    .or(keys.name)
                    .or(keys.response)
                    .or(keys.challenge);
                return early.map_or(Ok(()), |_| Err(LoginStatus::INITIATOR_ERROR));
            }
        }
        Ok(())
    }

    /// Proposes a method, if the initiator wants to go on and has not proposed one itself
    /// (RFC 7143 §6.3.2, target-directed negotiation).
    pub(crate) fn propose(&mut self, out: &mut PairWriter) {
        if matches!(self.state, State::Open) {
            out.push(name(Key::AuthMethod), CHAP);
            self.state = State::Proposed;
        }
    }

    fn choose_method(&mut self, methods: &str, out: &mut PairWriter) -> Result<(), LoginStatus> {
        let offered = |wanted| list_items(methods).any(|method| method == wanted);
        match self.state {
            State::Open if offered(CHAP) => {
                out.push(name(Key::AuthMethod), CHAP);
                self.state = State::Agreed;
                Ok(())
            }
            State::Proposed if methods == CHAP => {
                self.state = State::Agreed;
                Ok(())
            }
            State::Passed if self.chap.is_none() => {
                let answer = if offered(NONE) { NONE } else { REJECT };
                out.push(name(Key::AuthMethod), answer);
                Ok(())
            }
            // What we demand is not on offer.
            State::Open | State::Proposed => Err(LoginStatus::AUTHENTICATION_FAILURE),
            _ => Err(LoginStatus::INITIATOR_ERROR),
        }
    }
}

/// Our challenge, by the first algorithm of the initiator's list that we take.
fn challenge(
    keys: SecurityKeys<'_>,
    allowed: &[Algorithm],
    random: [u8; RANDOM_BYTES],
) -> Result<Challenge, LoginStatus> {
    if keys.name.or(keys.response).is_some() {
        return Err(LoginStatus::INITIATOR_ERROR);
    }
    let list = keys.algorithms.unwrap_or_default();
    let algorithm = Algorithm::choose(list, allowed).ok_or(LoginStatus::AUTHENTICATION_FAILURE)?;
    let [identifier, value @ ..] = random;
    Ok(Challenge::from_random(algorithm, identifier, value))
}

/// Judges the initiator's proof.
fn verify(
    chap: &ChapConfig,
    challenge: &Challenge,
    keys: SecurityKeys<'_>,
) -> Result<(), LoginStatus> {
    let (Some(name), Some(response)) = (keys.name, keys.response) else {
        return Err(LoginStatus::MISSING_PARAMETER);
    };
    let refused = LoginStatus::AUTHENTICATION_FAILURE;
    let response = Response::parse(response).map_err(|_| LoginStatus::INITIATOR_ERROR)?;
    let own = chap.target.as_ref().map(|credentials| &credentials.secret);
    let proved = challenge.verify(&response, &chap.initiator.secret, own);
    if name != chap.initiator.name {
        return Err(refused);
    }
    proved.map_err(|_| refused)
}

/// Proves ourselves, if the initiator asks for it.
fn prove(
    chap: &ChapConfig,
    ours: &Challenge,
    keys: SecurityKeys<'_>,
    out: &mut PairWriter,
) -> Result<(), LoginStatus> {
    let (identifier, value) = match (keys.identifier, keys.challenge) {
        (Some(identifier), Some(value)) => (identifier, value),
        (None, None) => return Ok(()),
        _ => return Err(LoginStatus::MISSING_PARAMETER),
    };
    let theirs = Challenge::parse(ours.algorithm(), identifier, value)
        .map_err(|_| LoginStatus::INITIATOR_ERROR)?;
    // RFC 7143 §9.2.1: a challenge of ours that comes back is an attack.
    let reflected = theirs.value() == ours.value();
    let Some(credentials) = chap.target.as_ref().filter(|_| !reflected) else {
        return Err(LoginStatus::AUTHENTICATION_FAILURE);
    };
    out.push(name(Key::ChapN), &credentials.name);
    out.push(
        name(Key::ChapR),
        &theirs.respond(&credentials.secret).to_text(),
    );
    Ok(())
}

fn name(key: Key) -> &'static str {
    spec(key).name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chap() -> ChapConfig {
        ChapConfig::one_way("user", "secretsecret1".into())
    }

    fn say(security: &mut Security, text: &[(Key, &str)]) -> Result<String, LoginStatus> {
        let mut keys = SecurityKeys::default();
        text.iter().for_each(|(key, value)| keys.put(*key, value));
        let mut out = PairWriter::new();
        security.answer(keys, &mut out)?;
        Ok(String::from_utf8(out.into_bytes())
            .unwrap()
            .replace('\0', " "))
    }

    /// Of the right length, and wrong.
    const WRONG: &str = "0x75b6a6c3a2d1cb0a5c3ce8f9f5d4b8a1";

    fn challenged(chap: ChapConfig) -> Security {
        let mut security = Security::new(Some(chap), [5; RANDOM_BYTES]);
        assert_eq!(
            say(&mut security, &[(Key::AuthMethod, "CHAP,None")]).unwrap(),
            "AuthMethod=CHAP "
        );
        let answer = say(&mut security, &[(Key::ChapA, "9,5")]).unwrap();
        assert_eq!(
            answer,
            format!("CHAP_A=5 CHAP_I=5 CHAP_C=0x{} ", "05".repeat(32))
        );
        assert!(!security.is_passed());
        security
    }

    fn right_response() -> String {
        let challenge = Challenge::from_random(Algorithm::Md5, 5, [5; CHALLENGE_BYTES]);
        challenge.respond(&"secretsecret1".into()).to_text()
    }

    #[test]
    fn the_right_response_passes() {
        let mut security = challenged(chap());
        let response = right_response();
        let keys = [(Key::ChapN, "user"), (Key::ChapR, response.as_str())];
        assert_eq!(say(&mut security, &keys).unwrap(), "");
        assert!(security.is_passed());
    }

    #[test]
    fn anything_else_is_refused() {
        let right = right_response();
        let wrong: &[(&[(Key, &str)], LoginStatus)] = &[
            (
                &[(Key::ChapN, "user"), (Key::ChapR, WRONG)],
                LoginStatus::AUTHENTICATION_FAILURE,
            ),
            (
                &[(Key::ChapN, "root"), (Key::ChapR, &right)],
                LoginStatus::AUTHENTICATION_FAILURE,
            ),
            (&[(Key::ChapN, "user")], LoginStatus::MISSING_PARAMETER),
            (&[(Key::ChapR, &right)], LoginStatus::MISSING_PARAMETER),
            (
                &[(Key::ChapN, "user"), (Key::ChapR, "?")],
                LoginStatus::INITIATOR_ERROR,
            ),
            (&[(Key::AuthMethod, "None")], LoginStatus::INITIATOR_ERROR),
        ];
        for (keys, status) in wrong {
            assert_eq!(say(&mut challenged(chap()), keys), Err(*status), "{keys:?}");
        }
        let mut security = Security::new(Some(chap()), [5; RANDOM_BYTES]);
        let refused = Err(LoginStatus::AUTHENTICATION_FAILURE);
        assert_eq!(
            say(&mut security, &[(Key::AuthMethod, "KRB5,None")]),
            refused
        );
        let early = [(Key::ChapN, "user"), (Key::ChapR, right.as_str())];
        assert_eq!(
            say(&mut security, &early),
            Err(LoginStatus::INITIATOR_ERROR)
        );
    }

    #[test]
    fn the_target_proves_itself_when_asked() {
        let response = right_response();
        let mut keys = vec![
            (Key::ChapN, "user"),
            (Key::ChapR, response.as_str()),
            (Key::ChapI, "7"),
            (Key::ChapC, "0x0102"),
        ];
        let refused = Err(LoginStatus::AUTHENTICATION_FAILURE);
        assert_eq!(say(&mut challenged(chap()), &keys), refused);
        let mutual = chap().mutual("target", "targetsecret1".into());
        let answer = say(&mut challenged(mutual.clone()), &keys).unwrap();
        let theirs = Challenge::parse(Algorithm::Md5, "7", "0x0102").unwrap();
        let proof = theirs.respond(&"targetsecret1".into()).to_text();
        assert_eq!(answer, format!("CHAP_N=target CHAP_R={proof} "));
        let reflected = format!("0x{}", "05".repeat(32));
        keys[3].1 = &reflected;
        assert_eq!(say(&mut challenged(mutual.clone()), &keys), refused);
        keys.pop();
        assert_eq!(
            say(&mut challenged(mutual), &keys),
            Err(LoginStatus::MISSING_PARAMETER)
        );
    }

    #[test]
    fn without_chap_nothing_is_asked() {
        let mut security = Security::new(None, [0; RANDOM_BYTES]);
        assert!(security.is_passed());
        let answer = |security: &mut Security, methods| {
            say(security, &[(Key::AuthMethod, methods)]).unwrap()
        };
        assert_eq!(answer(&mut security, "CHAP,None"), "AuthMethod=None ");
        assert_eq!(answer(&mut security, "CHAP"), "AuthMethod=Reject ");
    }

    #[test]
    fn the_target_leads_when_the_initiator_does_not() {
        let mut security = Security::new(Some(chap()), [5; RANDOM_BYTES]);
        let mut out = PairWriter::new();
        security.propose(&mut out);
        security.propose(&mut out);
        assert_eq!(out.into_bytes(), b"AuthMethod=CHAP\0");
        let answer = say(
            &mut security,
            &[(Key::AuthMethod, "CHAP"), (Key::ChapA, "5")],
        )
        .unwrap();
        assert!(answer.starts_with("CHAP_A=5 CHAP_I=5 CHAP_C=0x"));
    }
}
