//! What a client shows to be let into its session again (protocol §15.4, §26).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use phoenix_server::{MaxAge, SecretKeyBase, Signer, UnixMillis};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

/// Names one session of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct SessionId(pub(crate) u64);

/// Names one endpoint of one run of a program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Node(String);

/// Signs and verifies tokens: HMAC-SHA-256 over version, node, session and time.
pub(crate) struct Tokens {
    /// One for each secret, because the topic of a node depends on the one it signs with; that is the first.
    signers: Vec<Signer>,
    node: Node,
}

/// The token of a session on this node, which knows it again without the work of a signature.
pub(crate) struct Ticket {
    token: Box<str>,
    signed_at: UnixMillis,
}

/// Where a valid token leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Claim {
    /// To a session of this node, which its [`Ticket`] would have found if there were one.
    Own(SessionId),
    /// To one of another node, or of an earlier run, that listens on a topic.
    Foreign { topic: String, session: SessionId },
}

#[derive(Serialize, Deserialize)]
struct Content(u8, Node, SessionId);

/// Of the content of a token.
const VERSION: u8 = 1;
/// What the keys are for; other tokens of the same secret are none of these.
const SALT: &str = "phoenix long-poll session";
/// What tells the signature of a topic from that of a token.
const TOPIC: &str = "topic";

impl Node {
    pub(crate) fn random() -> Self {
        let mut name = [0; 16];
        getrandom::fill(&mut name).expect("the operating system has random numbers");
        Self(URL_SAFE_NO_PAD.encode(name))
    }
}

impl Tokens {
    /// Signs with the first secret and accepts all.
    pub(crate) fn new(secrets: &[SecretKeyBase], node: Node) -> Self {
        Self { signers: secrets.iter().map(|secret| Signer::new(secret, SALT)).collect(), node }
    }

    pub(crate) fn sign(&self, session: SessionId, max_age: Duration) -> Ticket {
        let content = Content(VERSION, self.node.clone(), session);
        let signed_at = unix_now();
        let token = self.signers[0].sign(&content, MaxAge::Limited(max_age), signed_at);
        Ticket { token: token.expect("the content has a JSON form").into(), signed_at }
    }

    /// Where a token leads; `None` if it is forged, damaged, too old, or none of ours.
    pub(crate) fn verify(&self, token: &str, max_age: Duration) -> Option<Claim> {
        let (max_age, now) = (Some(MaxAge::Limited(max_age)), unix_now());
        self.signers.iter().find_map(|signer| {
            let Content(version, node, session) = signer.verify(Some(token), max_age, now).ok()?;
            let is_own = node == self.node;
            let foreign = || Claim::Foreign { topic: topic(signer, &node), session };
            (version == VERSION).then(|| if is_own { Claim::Own(session) } else { foreign() })
        })
    }

    /// The topic on which this node is asked for its sessions. Clients cannot find it out, because it is signed.
    pub(crate) fn own_topic(&self) -> String {
        topic(&self.signers[0], &self.node)
    }
}

impl Ticket {
    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// Whether this is the token, whatever its age; in constant time.
    pub(crate) fn is(&self, token: &str) -> bool {
        is_equal(self.token.as_bytes(), token.as_bytes())
    }

    pub(crate) fn is_over(&self, max_age: Duration) -> bool {
        MaxAge::Limited(max_age).is_over(self.signed_at, unix_now())
    }
}

/// Compares in a time that depends on the lengths only; by words, as byte by byte takes longer than all else that is
/// done for a token.
fn is_equal(one: &[u8], other: &[u8]) -> bool {
    let ((words, rest), (other_words, other_rest)) = (one.as_chunks(), other.as_chunks());
    let difference = words.iter().zip(other_words).fold(0, |difference, (word, other)| {
        difference | (u64::from_ne_bytes(*word) ^ u64::from_ne_bytes(*other))
    });
    (difference.ct_eq(&0) & rest.ct_eq(other_rest) & one.len().ct_eq(&other.len())).into()
}

fn topic(signer: &Signer, node: &Node) -> String {
    let token = signer.sign(&(TOPIC, node), MaxAge::Infinite, UnixMillis(0));
    let token = token.expect("a name has a JSON form");
    let signature = token.rsplit('.').next().unwrap_or_default();
    format!("phx:lp:{signature}")
}

fn unix_now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);
    const SESSION: SessionId = SessionId(7);

    #[test]
    fn a_token_leads_to_its_session() {
        let tokens = own("a", "one");
        let token = tokens.sign(SESSION, DAY).token;
        assert_eq!(tokens.verify(&token, DAY), Some(Claim::Own(SESSION)));
        let topic = tokens.own_topic();
        assert_eq!(own("a", "two").verify(&token, DAY), Some(Claim::Foreign { topic, session: SESSION }));
    }

    #[test]
    fn other_tokens_lead_nowhere() {
        let tokens = own("a", "one");
        let token = tokens.sign(SESSION, DAY).token;
        let user_token =
            Signer::new(&secret("a"), "user").sign(&(1, "one", 7), MaxAge::Infinite, unix_now()).unwrap();
        let other_version = tokens.signers[0].sign(&(2, "one", 7), MaxAge::Infinite, unix_now()).unwrap();
        let forged = own("b", "one").sign(SESSION, DAY).token;
        let changed = token.replacen(|letter: char| letter.is_ascii_lowercase(), "Z", 1);
        for token in
            ["", "x", &token[..token.len() - 1], &token[1..], &user_token, &other_version, &forged, &changed]
        {
            assert_eq!(tokens.verify(token, DAY), None, "{token}");
        }
    }

    #[test]
    fn a_ticket_is_its_token() {
        let ticket = own("a", "one").sign(SESSION, DAY);
        let token = ticket.token().to_owned();
        assert!(ticket.is(&token));
        for at in 0..token.len() {
            let mut other = token.clone().into_bytes();
            other[at] ^= 1;
            assert!(!ticket.is(std::str::from_utf8(&other).unwrap()), "{at}");
        }
        for other in
            ["", &token[1..], &token[..token.len() - 1], &(token.clone() + "A"), &token.to_lowercase()]
        {
            assert!(!ticket.is(other), "{other}");
        }
    }

    #[test]
    fn a_token_expires() {
        let tokens = own("a", "one");
        let token = tokens.sign(SESSION, DAY).token;
        assert_eq!(tokens.verify(&token, Duration::ZERO), None);
        let ticket = |age| Ticket { token: "t".into(), signed_at: UnixMillis(unix_now().0 - age) };
        assert!(ticket(0).is_over(Duration::ZERO));
        assert!(!ticket(0).is_over(DAY));
        assert!(ticket(86_400_001).is_over(DAY));
        assert!(!ticket(86_400_001).is_over(2 * DAY));
        let old = Content(VERSION, tokens.node.clone(), SESSION);
        let old =
            tokens.signers[0].sign(&old, MaxAge::Infinite, UnixMillis(unix_now().0 - 86_400_001)).unwrap();
        assert_eq!(tokens.verify(&old, DAY), None);
        assert_eq!(tokens.verify(&old, 2 * DAY), Some(Claim::Own(SESSION)));
    }

    #[test]
    fn an_older_secret_still_counts() {
        let node = Node("one".to_owned());
        let rotated = Tokens::new(&[secret("b"), secret("a")], node.clone());
        let before = Tokens::new(&[secret("a")], node);
        assert_eq!(rotated.verify(&before.sign(SESSION, DAY).token, DAY), Some(Claim::Own(SESSION)));
        assert_eq!(before.verify(&rotated.sign(SESSION, DAY).token, DAY), None);
        // The topic is the one on which the node that signed listens.
        let two = Tokens::new(&[secret("a")], Node("two".to_owned()));
        let topic = two.own_topic();
        assert_eq!(
            rotated.verify(&two.sign(SESSION, DAY).token, DAY),
            Some(Claim::Foreign { topic, session: SESSION })
        );
    }

    fn own(letter: &str, node: &str) -> Tokens {
        Tokens::new(&[secret(letter)], Node(node.to_owned()))
    }

    fn secret(letter: &str) -> SecretKeyBase {
        SecretKeyBase::new(letter.repeat(64)).unwrap()
    }
}
