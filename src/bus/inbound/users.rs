//! User events: other services' updates of their users.

use std::collections::HashMap;
use std::time::Duration;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use tokio::time::{Instant, sleep};

use crate::app::tell_user_changed;
use crate::bus::context::BusContext;
use crate::db::{Store, StoreError};
use crate::domain::{Role, Timestamp, UpdateOutcome, UserUpdate};
use crate::metrics::UserOutcome;
use crate::protocol::{ApiError, Text, parse_data, storable};
use crate::retry::{Backoff, LogOnce};
use crate::settings::RabbitMq;

/// Time for which a failed event is retried before the event itself counts as the cause: a database
/// in trouble must not send every event to the dead letters.
const PATIENCE: Duration = Duration::from_secs(60);

/// Time for which repeats are recognised, and pause between two prunings.
const KNOWN: Duration = Duration::from_secs(30 * 24 * 3_600);
const FORGET_EVERY: Duration = Duration::from_secs(3_600);

/// Events of users.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserEvent {
    Created,
    ChatUpdated,
    Blocked,
}

/// An update in an envelope, which identifies a repeat; the server's own events have the same.
#[derive(Deserialize)]
struct Envelope {
    id: Option<Text>,
    time: Option<String>,
    source: Option<String>,
    payload: Box<RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload {
    subject: Option<Text>,
    sub: Option<Text>,
    user_id: Option<Text>,
    id: Option<Text>,
    nickname: Option<String>,
    name: Option<String>,
    email: Option<String>,
    role: Option<String>,
    blocked: Option<bool>,
}

impl UserEvent {
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        [Self::Created, Self::ChatUpdated, Self::Blocked]
            .into_iter()
            .find(|event| event.name() == name)
    }

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Created => "user.created",
            Self::ChatUpdated => "user.updated",
            Self::Blocked => "user.blocked",
        }
    }

    /// Parses an event; `None` for one that this server published itself.
    ///
    /// # Errors
    /// Malformed data: the message names the path.
    pub fn read(
        self,
        data: Option<&RawValue>,
        message_id: Option<&str>,
        settings: &RabbitMq,
    ) -> Result<Option<UserUpdate>, ApiError> {
        // A bare payload may have fields of the envelope's names, of any type.
        let fields: HashMap<String, IgnoredAny> = parse_data(data, "data")?;
        let (payload, at, event, source, time) = if fields.contains_key("payload") {
            let Envelope { id, time, source, payload } = parse_data(data, "data")?;
            let payload: Payload = parse_data(Some(&payload), "data.payload")?;
            (payload, "data.payload", id, source, time)
        } else {
            (parse_data(data, "data")?, "data", None, None, None)
        };
        if source.as_ref() == Some(&settings.source) {
            return Ok(None);
        }
        let at_time = time
            .map(|text| {
                Timestamp::parse(&text).ok_or_else(|| {
                    ApiError::bad_request("data.time", "must be RFC 3339, as 2026-11-20T10:00:00Z")
                })
            })
            .transpose()?;
        let source = source.unwrap_or_else(|| self.name().to_owned());
        let event = event.map(|Text(id)| id).or_else(|| message_id.map(str::to_owned));
        // An empty id identifies nothing.
        let event = event.filter(|id| !id.is_empty());
        storable("data.source", &source)?;
        event.as_deref().map_or(Ok(()), |id| storable("data.id", id))?;
        let event = event.map(|id| (source, id));
        let issuer = settings.users_issuer.clone();
        Ok(Some(UserUpdate { event, at: at_time, issuer, ..self.news(payload, at)? }))
    }

    fn news(self, payload: Payload, at: &str) -> Result<UserUpdate, ApiError> {
        let path = |field: &str| format!("{at}.{field}");
        let named = [
            ("subject", payload.subject),
            ("sub", payload.sub),
            ("userId", payload.user_id),
            ("id", payload.id),
        ];
        let named = named.into_iter().find_map(|(name, text)| Some((name, text?.0)));
        let (field, subject) = named.ok_or_else(|| {
            ApiError::bad_request(path("subject"), "is missing (or sub, userId or id)")
        })?;
        if subject.is_empty() {
            return Err(ApiError::bad_request(path(field), "must not be empty"));
        }
        let nickname = payload.nickname.or(payload.name);
        let texts = [
            (field, Some(&subject)),
            ("nickname", nickname.as_ref()),
            ("email", payload.email.as_ref()),
        ];
        for (field, text) in texts {
            text.map_or(Ok(()), |text| storable(&path(field), text))?;
        }
        let role = payload.role.as_deref().map(|word| {
            Role::parse(word)
                .ok_or_else(|| ApiError::bad_request(path("role"), "must be customer or admin"))
        });
        Ok(UserUpdate {
            event: None,
            at: None,
            issuer: String::new(),
            subject,
            nickname,
            email: payload.email,
            role: role.transpose()?,
            blocked: payload.blocked.or((self == Self::Blocked).then_some(true)),
            is_first: self == Self::Created,
        })
    }
}

/// Prunes the ids of old events, until the program ends.
pub async fn forget_repeats(store: Store) {
    loop {
        if let Err(error) = store.prune_inbox(KNOWN).await {
            log::warn!("cannot delete the ids of old user events: {error}");
        }
        sleep(FORGET_EVERY).await;
    }
}

/// Applies an update, however long the database is away: the messages behind it wait.
///
/// # Errors
/// A failure of the database that lasts.
pub async fn apply(context: &BusContext, news: UserUpdate) -> Result<(), StoreError> {
    let (mut backoff, mut log_once) = (Backoff::default(), LogOnce::default());
    let mut failing = None;
    let applied = loop {
        let error = match context.app.store().apply_user_update(news.clone()).await {
            Ok(applied) => break applied,
            Err(error) => error,
        };
        if let StoreError::Unavailable(_) = error {
            failing = None;
        } else if failing.get_or_insert_with(Instant::now).elapsed() > PATIENCE {
            return Err(error);
        }
        log_once.warn(&format!("events of users wait for the database: {error}"));
        context.metrics.user_event(UserOutcome::Retried);
        backoff.wait().await;
    };
    match applied {
        UpdateOutcome::Unchanged => context.metrics.user_event(UserOutcome::Unchanged),
        UpdateOutcome::Changed(user) => {
            context.metrics.user_event(UserOutcome::Applied);
            if let Err(error) = tell_user_changed(&context.app, user.id).await {
                log::debug!("sessions learn of user {} by polling: {error}", user.id);
            }
        }
    }
    Ok(())
}
