//! The messages of a chat, and read marks.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, web};

use super::{Answer, Authenticated, Body, ListRequest, Order, Query, State, id_in_path, json};
use crate::app;
use crate::db::HistoryPage;
use crate::domain::{ChatId, ClientId, Seq};
use crate::protocol::{ApiError, MessageView, NewMessage, ReceiptView, client_id_refused};

/// Default page size.
const LIMIT: i64 = 50;
const IDEMPOTENCY_KEY: &str = "Idempotency-Key";

/// `GET /chats/{id}/messages`: the newest first, unless asked otherwise.
pub async fn list(state: web::Data<State>, who: Authenticated, request: HttpRequest) -> Answer {
    let chat = ChatId(id_in_path(&request)?);
    let query = Query::from_request(&request)?;
    let (after_seq, before_seq) = (query.number("afterSeq")?, query.number("beforeSeq")?);
    let list =
        ListRequest::from_query(&query, format!("/chats/{chat}/messages"), LIMIT, Order::Desc)?
            .bound("afterSeq", after_seq)
            .bound("beforeSeq", before_seq);
    let page = HistoryPage {
        after: after_seq.map(Seq),
        before: before_seq.map(Seq),
        newest_first: list.order() == Order::Desc,
        limit: list.rows(),
    }
    .behind(list.after()?.map(|(seq, _)| Seq(seq)));
    let messages = app::list_messages(&state.app, who.actor(), chat, page).await?;
    Ok(list.answer(&messages, |message| (message.seq.0, 0), MessageView::from)?)
}

/// `POST /chats/{id}/messages`: the same use case as a frame's.
pub async fn create(
    state: web::Data<State>,
    who: Authenticated,
    request: HttpRequest,
    body: Body,
) -> Answer {
    let chat = ChatId(id_in_path(&request)?);
    let mut message: NewMessage = body.read(&state)?;
    message.client_id = one_name(message.client_id, idempotency_key(&request)?)?;
    let posted = app::post_message(&state.app, who.actor(), chat, message).await?;
    let status = if posted.duplicate { StatusCode::OK } else { StatusCode::CREATED };
    Ok(json(
        status,
        &ReceiptView::new(chat, &posted.client_id, posted.receipt, posted.duplicate),
        1,
    )?)
}

/// `PUT /chats/{id}/read`: read marks only grow.
pub async fn mark_read(
    state: web::Data<State>,
    who: Authenticated,
    request: HttpRequest,
    body: Body,
) -> Answer {
    let chat = ChatId(id_in_path(&request)?);
    let seq: Seq = body.read(&state)?;
    let mark = app::mark_read(&state.app, who.caller()?, chat, seq).await?;
    Ok(json(StatusCode::OK, &mark, 1)?)
}

/// The idempotency key's header, with the rules of a `clientId`.
fn idempotency_key(request: &HttpRequest) -> Result<Option<ClientId>, ApiError> {
    let mut keys = request.headers().get_all(IDEMPOTENCY_KEY);
    let Some(key) = keys.next() else { return Ok(None) };
    if keys.next().is_some() {
        return Err(ApiError::bad_request(IDEMPOTENCY_KEY, "is given twice"));
    }
    let key = std::str::from_utf8(key.as_bytes())
        .map_err(|_| ApiError::bad_request(IDEMPOTENCY_KEY, "is not UTF-8"))?;
    ClientId::parse(key.to_owned())
        .map(Some)
        .map_err(|error| client_id_refused(IDEMPOTENCY_KEY, &error))
}

/// The header and `clientId` must agree.
fn one_name(
    client_id: Option<ClientId>,
    key: Option<ClientId>,
) -> Result<Option<ClientId>, ApiError> {
    match (client_id, key) {
        (Some(client_id), Some(key)) if client_id != key => {
            Err(ApiError::bad_request(IDEMPOTENCY_KEY, "is not the clientId of the body"))
        }
        (client_id, key) => Ok(client_id.or(key)),
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn id(text: &str) -> Option<ClientId> {
        Some(ClientId::parse(text.to_owned()).expect("a client id"))
    }

    #[test]
    fn a_message_has_one_name() {
        assert_eq!(one_name(None, None), Ok(None));
        assert_eq!(one_name(id("a"), None), Ok(id("a")));
        assert_eq!(one_name(None, id("a")), Ok(id("a")));
        assert_eq!(one_name(id("a"), id("a")), Ok(id("a")));
        assert!(one_name(id("a"), id("b")).is_err());
    }

    #[test]
    fn an_idempotency_key_is_a_client_id() {
        let key = |value: &str| {
            let request = TestRequest::post().insert_header((IDEMPOTENCY_KEY, value));
            idempotency_key(&request.to_http_request())
        };
        assert_eq!(key("c-1"), Ok(id("c-1")));
        assert_eq!(key(&"é".repeat(64)), Ok(id(&"é".repeat(64))));
        for refused in [String::new(), "x".repeat(65)] {
            let exception = key(&refused).expect_err(&refused);
            assert_eq!(exception.path.as_deref(), Some(IDEMPOTENCY_KEY));
        }
        assert_eq!(idempotency_key(&TestRequest::post().to_http_request()), Ok(None));
    }
}
