//! Tokens of a host application that signs with a key of its own: the configured algorithm counts,
//! whatever a token says of itself.

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};

use crate::support::tokens::{SECRET, sign_with};
use crate::support::{TestApp, Value, admin, customer, scenarios};

const RS256: &str = include_str!("../keys/rs256.private.pem");
const ES256: &str = include_str!("../keys/es256.private.pem");
const ED25519: &str = include_str!("../keys/ed25519.private.pem");
const RS256_PUBLIC: &str = include_str!("../keys/rs256.public.pem");

scenarios! {
    who_signs_with_rs256_is_believed_and_nobody_else
        ["auth.algorithm" = "RS256", "auth.public_key_file" = "tests/keys/rs256.public.pem"],
    who_signs_with_es256_is_believed_and_nobody_else
        ["auth.algorithm" = "ES256", "auth.public_key_file" = "tests/keys/es256.public.pem"],
    who_signs_with_eddsa_is_believed_and_nobody_else
        ["auth.algorithm" = "EdDSA", "auth.public_key_file" = "tests/keys/ed25519.public.pem"],
    a_secret_alone_believes_no_key,
}

fn signed(claims: &Value, algorithm: Algorithm) -> String {
    let key = match algorithm {
        Algorithm::RS256 => EncodingKey::from_rsa_pem(RS256.as_bytes()),
        Algorithm::ES256 => EncodingKey::from_ec_pem(ES256.as_bytes()),
        _ => EncodingKey::from_ed_pem(ED25519.as_bytes()),
    };
    encode(&Header::new(algorithm), claims, &key.expect("a key")).expect("claims can be signed")
}

const ALL: [Algorithm; 3] = [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA];

async fn believes_only(app: &TestApp, believed: Algorithm) {
    let ada = admin("ada").claims();
    let session = app.connecting().bearer(&signed(&ada, believed)).welcomed().await;
    assert_eq!(session.welcome["user"]["role"], "admin");
    for other in ALL.into_iter().filter(|algorithm| *algorithm != believed) {
        app.connecting().bearer(&signed(&ada, other)).refused(401, "unauthenticated").await;
    }
    // With the secret that is configured besides, and with the public key as if it were one.
    for secret in [SECRET, RS256_PUBLIC] {
        app.connecting().bearer(&sign_with(&ada, secret)).refused(401, "unauthenticated").await;
    }
}

async fn who_signs_with_rs256_is_believed_and_nobody_else(app: TestApp) {
    believes_only(&app, Algorithm::RS256).await;
}

async fn who_signs_with_es256_is_believed_and_nobody_else(app: TestApp) {
    believes_only(&app, Algorithm::ES256).await;
}

async fn who_signs_with_eddsa_is_believed_and_nobody_else(app: TestApp) {
    believes_only(&app, Algorithm::EdDSA).await;
}

async fn a_secret_alone_believes_no_key(app: TestApp) {
    let kim = customer("kim").claims();
    for algorithm in ALL {
        app.connecting().bearer(&signed(&kim, algorithm)).refused(401, "unauthenticated").await;
    }
    app.connecting().bearer(&sign_with(&kim, SECRET)).welcomed().await;
}
