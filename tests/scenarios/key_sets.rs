//! Key sets of an issuer (JWKS): several keys, which change while the server runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::support::{Person, TestApp, Value, admin, customer, eventually, json, scenarios};

const ES256: &str = include_str!("../keys/es256.private.pem");
const ES256_PUBLIC: &str = include_str!("../keys/es256.public.pem");
const OTHER: &str = include_str!("../keys/es256-other.private.pem");
const OTHER_PUBLIC: &str = include_str!("../keys/es256-other.public.pem");
const ED25519: &str = include_str!("../keys/ed25519.private.pem");

scenarios! {
    keys_of_a_set_are_told_apart_by_their_kid on one node "starts another",
    a_key_that_is_new_is_found_and_an_old_one_is_gone on one node "starts another",
    keys_are_kept_while_their_address_is_away on one node "starts another",
    until_the_first_reading_tokens_are_unavailable_and_not_refused on one node "starts another",
    a_set_without_a_usable_key_is_refused_at_the_start on one node "starts another",
}

/// An issuer's address for its keys.
#[derive(Clone)]
struct Issuer {
    url: String,
    /// The answer; `None` while it is away.
    set: Arc<watch::Sender<Option<String>>>,
    asked: Arc<AtomicU32>,
}

impl Issuer {
    async fn start(set: Option<Value>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/jwks.json", listener.local_addr().expect("an address"));
        let issuer = Self {
            url,
            set: Arc::new(watch::Sender::new(set.map(|set| set.to_string()))),
            asked: Arc::default(),
        };
        let answering = issuer.clone();
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                answering.asked.fetch_add(1, Ordering::Relaxed);
                let mut head = [0; 4096];
                let _ = socket.read(&mut head).await;
                let set = answering.set.borrow().clone();
                let (status, body) = match set {
                    Some(set) => ("200 OK", set),
                    None => ("503 Service Unavailable", String::new()),
                };
                let length = body.len();
                let answer = format!(
                    "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
                );
                let _ = socket.write_all(answer.as_bytes()).await;
            }
        });
        issuer
    }

    fn publish(&self, set: Option<Value>) {
        self.set.send_replace(set.map(|set| set.to_string()));
    }

    fn asked(&self) -> u32 {
        self.asked.load(Ordering::Relaxed)
    }

    fn settings(&self) -> [(&'static str, &str); 3] {
        [
            ("auth.jwks_url", &self.url),
            ("auth.algorithm", "ES256"),
            ("auth.jwks_refresh_seconds", "3600"),
        ]
    }
}

/// The public half of a P-256 key, as a set has it.
fn jwk(kid: &str, pem: &str) -> Value {
    use base64::engine::general_purpose::STANDARD;
    let (_, body) = pem.split_once("KEY-----").expect("PEM");
    let body: String = body.lines().filter(|line| !line.starts_with("-----")).collect();
    let der = STANDARD.decode(body).expect("PEM");
    // The last 64 bytes are the point.
    let (x, y) = der[der.len() - 64..].split_at(32);
    json!({"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": kid,
        "x": BASE64.encode(x), "y": BASE64.encode(y)})
}

fn signed(who: &Person, kid: Option<&str>, pem: &str) -> String {
    let header = Header { kid: kid.map(str::to_owned), ..Header::new(Algorithm::ES256) };
    let key = EncodingKey::from_ec_pem(pem.as_bytes()).expect("a key");
    encode(&header, &who.claims(), &key).expect("claims can be signed")
}

async fn keys_of_a_set_are_told_apart_by_their_kid(app: TestApp) {
    let rsa = json!({"kty": "RSA", "kid": "rsa", "alg": "RS256", "n": "AQAB", "e": "AQAB"});
    let set = json!({"keys": [rsa, jwk("one", ES256_PUBLIC), jwk("two", OTHER_PUBLIC)]});
    let issuer = Issuer::start(Some(set)).await;
    let node = app.another_process_with(&issuer.settings()).await;
    let (kim, ada) = (customer("kim"), admin("ada"));
    node.connecting().bearer(&signed(&kim, Some("one"), ES256)).welcomed().await;
    let session = node.connecting().bearer(&signed(&ada, Some("two"), OTHER)).welcomed().await;
    assert_eq!(session.welcome["user"]["role"], "admin");
    for (kid, pem) in
        [(Some("one"), OTHER), (Some("two"), ES256), (Some("rsa"), ES256), (None, ES256)]
    {
        node.connecting().bearer(&signed(&kim, kid, pem)).refused(401, "unauthenticated").await;
    }
    // The algorithm is the configured one, whatever a token says of itself.
    let header = Header { kid: Some("one".into()), ..Header::new(Algorithm::EdDSA) };
    let key = EncodingKey::from_ed_pem(ED25519.as_bytes()).expect("a key");
    let other = encode(&header, &kim.claims(), &key).expect("claims can be signed");
    node.connecting().bearer(&other).refused(401, "unauthenticated").await;
    node.connecting().bearer(&kim.token()).refused(401, "unauthenticated").await;
}

async fn a_key_that_is_new_is_found_and_an_old_one_is_gone(app: TestApp) {
    let issuer = Issuer::start(Some(json!({"keys": [jwk("one", ES256_PUBLIC)]}))).await;
    let node = app.another_process_with(&issuer.settings()).await;
    let kim = customer("kim");
    let old = signed(&kim, Some("one"), ES256);
    node.connecting().bearer(&old).welcomed().await;
    // The only key needs no kid.
    node.connecting().bearer(&signed(&kim, None, ES256)).welcomed().await;
    issuer.publish(Some(json!({"keys": [jwk("two", OTHER_PUBLIC)]})));
    let new = signed(&kim, Some("two"), OTHER);
    // A first try may fall into the pause after a reading.
    eventually("the new key is found", || async {
        node.connecting().bearer(&new).attempt().await.ok().map(drop)
    })
    .await;
    node.connecting().bearer(&old).refused(401, "unauthenticated").await;
    // A flood of unknown keys asks the issuer no more than once each 5 s.
    let before = issuer.asked();
    for n in 0..20 {
        let unknown = signed(&kim, Some(&format!("unknown-{n}")), OTHER);
        node.connecting().bearer(&unknown).refused(401, "unauthenticated").await;
    }
    assert!(issuer.asked() <= before + 2, "{} {before}", issuer.asked());
}

async fn keys_are_kept_while_their_address_is_away(app: TestApp) {
    let issuer = Issuer::start(Some(json!({"keys": [jwk("one", ES256_PUBLIC)]}))).await;
    let settings = issuer.settings();
    let settings = [settings[0], settings[1], ("auth.jwks_refresh_seconds", "1")];
    let node = app.another_process_with(&settings).await;
    let token = signed(&customer("kim"), Some("one"), ES256);
    node.connecting().bearer(&token).welcomed().await;
    issuer.publish(None);
    node.logs("keeps those known").await;
    node.connecting().bearer(&token).welcomed().await;
    issuer.publish(Some(json!({"keys": []})));
    let asked = issuer.asked();
    eventually("it was read again", || async { (issuer.asked() > asked).then_some(()) }).await;
    node.connecting().bearer(&token).welcomed().await;
    assert!(!node.log().contains(&token), "no token is in the log");
}

async fn until_the_first_reading_tokens_are_unavailable_and_not_refused(app: TestApp) {
    let issuer = Issuer::start(None).await;
    let node = app.another_process_with(&issuer.settings()).await;
    let token = signed(&customer("kim"), Some("one"), ES256);
    let answer = node.send(node.request(reqwest::Method::GET, "/chats").bearer_auth(&token)).await;
    answer.problem(503, "unavailable");
    issuer.publish(Some(json!({"keys": [jwk("one", ES256_PUBLIC)]})));
    eventually("the keys are there", || async {
        node.connecting().bearer(&token).attempt().await.ok().map(drop)
    })
    .await;
}

async fn a_set_without_a_usable_key_is_refused_at_the_start(app: TestApp) {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let path = file.path().to_str().expect("a path");
    let start = |text: &str| {
        std::fs::write(file.path(), text).expect("written");
        let env = [("FRONTDESK__AUTH__JWKS_FILE", path), ("FRONTDESK__AUTH__ALGORITHM", "ES256")];
        app.operate_with(&["config", "check"], "", &env)
    };
    let good = json!({"keys": [jwk("one", ES256_PUBLIC)]}).to_string();
    assert_eq!(start(&good).code, 0);
    for (text, words) in [("{}", "is no key set"), ("{\"keys\":[]}", "no key for ES256")] {
        let refused = start(text);
        assert!(refused.code == 2 && refused.error.contains(words), "{}", refused.error);
    }
}
