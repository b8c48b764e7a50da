//! The HTTP API: the route table, and a file per resource.

mod accounts;
mod admin;
pub mod authenticated;
mod body;
mod chats;
mod client_address;
mod connection;
mod cors;
mod forwarded;
mod list;
mod messages;
mod openapi;
mod ops;
mod origins;
mod pages;
mod problem;
mod process;
mod query;
mod socketio;
mod upgrade;
mod users;
mod ws;

use std::rc::Rc;
use std::sync::Arc;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::HeaderValue;
use actix_web::http::{ConnectionType, Method, StatusCode, header};
use actix_web::middleware::{Next, from_fn};
use actix_web::web::{self, ServiceConfig};
use actix_web::{
    Error, FromRequest, Handler, HttpRequest, HttpResponse, Resource, Responder, Route, guard,
};
use serde::Serialize;

pub use authenticated::Authenticated;
pub use client_address::ClientAddresses;
pub use connection::{tcp_stream, watch_peer};
pub use openapi::openapi;
pub use origins::Origins;
pub use pages::{Demo, Pages};
pub use problem::Problem;
pub use socketio::SocketIo;

use crate::app::AppState;
use crate::cluster::Nodes;
use crate::metrics::Metrics;
use crate::protocol::{ApiError, Code, Order};
use crate::settings::Settings;
use crate::transport::SessionClock;
use body::Body;
use connection::drain;
use cors::{cors, refuse_in_form};
use list::ListRequest;
use query::{Query, id_in_path};

/// The state of all handlers, one for each worker thread.
pub struct State {
    pub app: AppState,
    /// The clock of this thread's sessions.
    pub clock: Rc<SessionClock>,
    pub settings: Arc<Settings>,
    pub metrics: Arc<Metrics>,
    pub origins: Arc<Origins>,
    pub addresses: Arc<ClientAddresses>,
    /// All nodes of the deployment.
    pub nodes: Nodes,
}

/// The result of a handler.
type Answer = Result<HttpResponse, Problem>;

/// The route table, and its middleware. All other paths and methods get a refusal in the same form.
///
/// An upgrade has only `cors()` around it: the connection of a session keeps the memory of all
/// middleware around its handler.
pub fn configure(
    state: web::Data<State>,
    front: Option<web::Data<SocketIo>>,
    pages: Option<web::Data<Pages>>,
) -> impl FnOnce(&mut ServiceConfig) {
    move |routes| {
        if let Some(front) = front {
            socketio_routes(&state, front, routes);
        }
        if let Some(pages) = pages {
            pages::configure(pages, routes);
        }
        let origins = Arc::clone(&state.origins);
        let upgrades = guard::All(guard::Get())
            .and(guard::fn_guard(|request| request.head().headers().contains_key(header::UPGRADE)));
        let upgrade = web::resource("/ws").guard(upgrades).route(web::to(ws::upgrade));
        let rest = web::scope("")
            .service(at("/ws", [socket(ws::upgrade)]))
            .service(at("/chats", [get(chats::list), post(chats::create)]))
            .service(at("/chats/{id}", [get(chats::show)]))
            .service(at("/chats/{id}/messages", [get(messages::list), post(messages::create)]))
            .service(at("/chats/{id}/read", [put(messages::mark_read)]))
            .service(at("/users", [get(users::list), post(users::create)]))
            .service(at("/users/me", [get(users::me)]))
            .service(at("/users/{id}", [get(users::show)]))
            .service(at("/users/{id}/chats", [get(chats::list_of)]))
            .service(at("/users/{id}/block", [post(users::block)]))
            .service(at("/users/{id}/unblock", [post(users::unblock)]))
            .service(at("/auth/register", [post(accounts::register)]))
            .service(at("/auth/login", [post(accounts::login)]))
            .service(at("/auth/refresh", [post(accounts::refresh)]))
            .service(at("/auth/logout", [post(accounts::logout)]))
            .service(at("/auth/password", [put(accounts::set_password)]))
            .service(at("/admin/keys", [get(admin::list_keys)]))
            .service(at("/admin/keys/{id}", [delete(admin::revoke_key)]))
            .service(at("/admin/sessions", [get(admin::list_sessions)]))
            .service(at("/admin/sessions/{id}", [delete(admin::end_session)]))
            .service(at("/admin/rooms", [get(admin::list_rooms)]))
            .service(at("/openapi.json", [get(openapi::openapi_document)]))
            .service(at("/asyncapi.json", [get(openapi::asyncapi_document)]))
            .service(at("/healthz", [get(ops::alive)]))
            .service(at("/readyz", [get(ops::ready)]))
            .service(at("/metrics", [get(ops::metrics)]))
            .default_service(web::to(problem::no_route));
        routes
            .app_data(web::PayloadConfig::new(state.settings.limits.body_bytes))
            .app_data(state)
            .service(upgrade.wrap(cors(Arc::clone(&origins))))
            .service(
                rest.wrap(cors(origins))
                    .wrap(from_fn(refuse_in_form))
                    .wrap(from_fn(drain))
                    .wrap(from_fn(end_kept)),
            );
    }
}

/// The routes of Socket.IO clients. Its path is served whole, with the last slash and without.
fn socketio_routes(
    state: &web::Data<State>,
    front: web::Data<SocketIo>,
    routes: &mut ServiceConfig,
) {
    let path = state.settings.socketio.path.clone();
    let paths = || [path.clone(), path.trim_end_matches('/').to_owned()];
    let script = format!("{path}{{script:socket\\.io.*}}");
    let is_upgrade =
        guard::fn_guard(|request| request.head().headers().contains_key(header::UPGRADE));
    let cors = || cors::with_credentials(Arc::clone(&state.origins));
    routes.app_data(front).service(
        web::resource(paths()).guard(is_upgrade).route(web::to(socketio::serve)).wrap(cors()),
    );
    routes.service(web::resource(script).route(web::to(problem::no_script)));
    routes.service(
        web::resource(paths())
            .route(web::to(socketio::serve))
            .wrap(cors())
            .wrap(from_fn(refuse_in_form))
            .wrap(from_fn(drain))
            .wrap(from_fn(end_kept)),
    );
}

/// The middleware around all answers: it counts them, gives each the headers that it lacks, and has a node
/// that leaves end its kept connections, each with an answer.
async fn end_kept<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let state = request.app_data::<web::Data<State>>().cloned();
    let mut response = next.call(request).await?;
    if let Some(state) = &state {
        state.metrics.http_response(response.status().as_u16());
    }
    let headers = response.response_mut().headers_mut();
    // What is for one caller is for no cache, and JSON is nothing else. Pages say more of their own.
    for (name, value) in
        [(header::CACHE_CONTROL, "no-store"), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")]
    {
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
    if state.is_some_and(|state| !state.app.takes_sessions()) {
        response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    Ok(response)
}

/// The routes of one path; any other method is answered with `Allow`.
fn at<const N: usize>(path: &str, routes: [(&'static str, Route); N]) -> Resource {
    let methods: Vec<&str> = routes.iter().map(|(methods, _)| *methods).collect();
    let allow: Arc<str> = methods.join(", ").into();
    let refuse = web::to(move |method: Method| {
        let allow = Arc::clone(&allow);
        async move { problem::wrong_method(&method, &allow) }
    });
    let resource = web::resource(path).default_service(refuse);
    routes.into_iter().fold(resource, |resource, (_, route)| resource.route(route))
}

/// HEAD is answered as GET; the encoder leaves out the body.
fn get<F, Args>(handler: F) -> (&'static str, Route)
where
    F: Handler<Args, Output: Responder + 'static>,
    Args: FromRequest + 'static,
{
    let reads = guard::Any(guard::Get()).or(guard::Head());
    ("GET, HEAD", web::route().guard(reads).to(handler))
}

/// An upgrade, which has no HEAD.
fn socket<F, Args>(handler: F) -> (&'static str, Route)
where
    F: Handler<Args, Output: Responder + 'static>,
    Args: FromRequest + 'static,
{
    ("GET", web::get().to(handler))
}

fn post<F, Args>(handler: F) -> (&'static str, Route)
where
    F: Handler<Args, Output: Responder + 'static>,
    Args: FromRequest + 'static,
{
    ("POST", web::post().to(handler))
}

fn put<F, Args>(handler: F) -> (&'static str, Route)
where
    F: Handler<Args, Output: Responder + 'static>,
    Args: FromRequest + 'static,
{
    ("PUT", web::put().to(handler))
}

fn delete<F, Args>(handler: F) -> (&'static str, Route)
where
    F: Handler<Args, Output: Responder + 'static>,
    Args: FromRequest + 'static,
{
    ("DELETE", web::delete().to(handler))
}

/// The state, where an extractor needs it.
fn state(request: &HttpRequest) -> Result<web::Data<State>, ApiError> {
    request.app_data::<web::Data<State>>().cloned().ok_or_else(|| {
        log::error!("the application has no state");
        ApiError::new(Code::Internal, "the server is not set up")
    })
}

/// A JSON response of about `rows` rows.
fn json(status: StatusCode, value: &impl Serialize, rows: usize) -> Result<HttpResponse, ApiError> {
    // A message is its text and about 250 bytes; most texts are short.
    let mut body = Vec::with_capacity(256 + rows * 384);
    serde_json::to_writer(&mut body, value).map_err(|error| {
        log::error!("cannot encode an answer: {error}");
        ApiError::new(Code::Internal, "the answer cannot be written")
    })?;
    Ok(HttpResponse::build(status).content_type("application/json").body(body))
}

#[cfg(test)]
mod tests {
    use actix_web::test::{TestRequest, call_service, init_service, read_body};
    use actix_web::{App, web};
    use serde_json::Value;

    use super::*;

    async fn answer(request: TestRequest) -> (StatusCode, Option<String>, Value) {
        async fn nothing() -> HttpResponse {
            HttpResponse::NoContent().finish()
        }
        let app = App::new()
            .service(at("/chats", [get(nothing), post(nothing)]))
            .default_service(web::to(problem::no_route));
        let response = call_service(&init_service(app).await, request.to_request()).await;
        let status = response.status();
        let allow = response.headers().get(header::ALLOW);
        let allow = allow.map(|allow| allow.to_str().expect("text").to_owned());
        let body = read_body(response).await;
        (status, allow, serde_json::from_slice(&body).unwrap_or_default())
    }

    #[actix_web::test]
    async fn a_path_with_nothing_under_it_is_a_problem() {
        let (status, _, body) = answer(TestRequest::get().uri("/nothing")).await;
        assert_eq!(status, StatusCode::NOT_FOUND);
        assert_eq!((&body["status"], &body["code"]), (&404.into(), &"not_found".into()));
    }

    #[actix_web::test]
    async fn a_wrong_method_is_told_the_right_ones() {
        for method in [Method::DELETE, Method::PUT, Method::OPTIONS] {
            let request = TestRequest::default().method(method).uri("/chats");
            let (status, allow, body) = answer(request).await;
            assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
            assert_eq!(allow.as_deref(), Some("GET, HEAD, POST"));
            assert_eq!(body["code"], "method_not_allowed");
        }
    }

    #[actix_web::test]
    async fn a_right_method_is_answered() {
        let head = TestRequest::default().method(Method::HEAD);
        for request in [TestRequest::get(), head, TestRequest::post()] {
            assert_eq!(answer(request.uri("/chats")).await.0, StatusCode::NO_CONTENT);
        }
    }
}
