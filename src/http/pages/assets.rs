//! Files: pages, and the scripts and styles that they name.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, AcceptEncoding, ContentEncoding, Encoding, EntityTag, Header};
use actix_web::http::header::{IfNoneMatch, TryIntoHeaderValue as _};
use actix_web::{HttpRequest, HttpResponse, web};

use super::headers::{self, Framing};
use super::{ConfigView, Pages, public};
use crate::http::{State, problem};
use crate::settings::origin_of;
use crate::web::File;

/// Seconds for which the loader may be kept: an upgrade reaches hosts' pages that soon.
const LOADER_AGE: u32 = 300;
/// A hash is in the address of a script, so that what is there never changes.
const IMMUTABLE: &str = "public, max-age=31536000, immutable";
/// A page is asked for each time, and mostly answered with 304.
const PAGE: &str = "no-cache";
/// Stands in a page for the configuration.
const CONFIG: &str = "CONFIG";
/// For files that somebody is changing, and for answers that name no file.
const UNSTORED: &str = "no-store";

/// `GET /`: to the demo where there is one, else to the agents' page.
pub async fn home(pages: web::Data<Pages>) -> HttpResponse {
    let to = if pages.demo.is_some() { "/demo" } else { "/desk" };
    HttpResponse::SeeOther()
        .insert_header((header::LOCATION, to))
        .insert_header((header::CACHE_CONTROL, UNSTORED))
        .finish()
}

/// `GET /desk`, and every address below it: the agents' dashboard, which reads its address itself.
pub async fn desk(
    request: HttpRequest,
    pages: web::Data<Pages>,
    state: web::Data<State>,
) -> HttpResponse {
    desk_page(&request, &pages, &state, Framing::None)
}

/// `GET /check`, `GET /desk/check`.
pub async fn check(request: HttpRequest, pages: web::Data<Pages>) -> HttpResponse {
    page(&request, &pages, "check/index.html", Framing::None)
}

/// `GET /docs`: the API, to be read and tried.
pub async fn docs(request: HttpRequest, pages: web::Data<Pages>) -> HttpResponse {
    page(&request, &pages, "docs/index.html", Framing::None)
}

/// `GET /debug`: live sessions and rooms, for admins, whose token the page asks for.
pub async fn debug(request: HttpRequest, pages: web::Data<Pages>) -> HttpResponse {
    page(&request, &pages, "debug/index.html", Framing::None)
}

/// `GET /demo`.
pub async fn demo(request: HttpRequest, pages: web::Data<Pages>) -> HttpResponse {
    page(&request, &pages, "demo/index.html", Framing::Frames)
}

/// `GET /demo/shop`: the customer's side, a page as a company would have it.
pub async fn shop(request: HttpRequest, pages: web::Data<Pages>) -> HttpResponse {
    page(&request, &pages, "demo/shop.html", Framing::Framed)
}

/// `GET /demo/agent`: the agent's side, the page of agents.
pub async fn agent(
    request: HttpRequest,
    pages: web::Data<Pages>,
    state: web::Data<State>,
) -> HttpResponse {
    desk_page(&request, &pages, &state, Framing::Framed)
}

/// The agents' page has the configuration in it, so that it need not ask for it, and asks the
/// company's own server for tokens, where there is one.
fn desk_page(
    request: &HttpRequest,
    pages: &Pages,
    state: &State,
    framing: Framing,
) -> HttpResponse {
    let path = "desk/index.html";
    let Some(file) = pages.site.page(path) else { return missing(path) };
    let file = match serde_json::to_string(&ConfigView::new(state, pages)) {
        Ok(config) => file.with_data(CONFIG, &config),
        Err(error) => {
            log::error!("the configuration cannot be written into {path}: {error}");
            return HttpResponse::InternalServerError().finish();
        }
    };
    let asked = state.settings.web.token_url.as_deref().and_then(origin_of);
    answer_page(request, pages, &file, framing, asked)
}

/// `GET /widget.js`: the loader, for the pages of any origin.
pub async fn loader(request: HttpRequest, pages: web::Data<Pages>) -> HttpResponse {
    let Some(file) = pages.site.loader() else { return problem::no_route().await };
    let mut response = answer(&request, &file);
    let kept = format!("public, max-age={LOADER_AGE}");
    cache(&mut response, &pages, &kept);
    public(&mut response);
    response
}

/// `GET /favicon.svg`.
pub async fn favicon(request: HttpRequest, pages: web::Data<Pages>) -> HttpResponse {
    let base = pages.site.base();
    let tree = base.trim_matches('/').rsplit('/').next().unwrap_or_default();
    serve_asset(&request, &pages, (tree, "favicon.svg"), PAGE).await
}

/// `GET /_/{tree}/{path}`: a script or a style, for the pages of any origin.
pub async fn asset(
    request: HttpRequest,
    pages: web::Data<Pages>,
    path: web::Path<(String, String)>,
) -> HttpResponse {
    let (tree, path) = path.into_inner();
    serve_asset(&request, &pages, (&tree, &path), IMMUTABLE).await
}

async fn serve_asset(
    request: &HttpRequest,
    pages: &Pages,
    (tree, path): (&str, &str),
    kept: &str,
) -> HttpResponse {
    let Some(file) = pages.site.asset(tree, path) else {
        // Another version has it, perhaps: a browser must ask again.
        let mut response = problem::no_route().await;
        headers::insert(&mut response, header::CACHE_CONTROL, UNSTORED);
        public(&mut response);
        return response;
    };
    let mut response = answer(request, &file);
    cache(&mut response, pages, kept);
    public(&mut response);
    response
}

fn page(request: &HttpRequest, pages: &Pages, path: &str, framing: Framing) -> HttpResponse {
    let Some(file) = pages.site.page(path) else { return missing(path) };
    answer_page(request, pages, &file, framing, None)
}

fn missing(path: &str) -> HttpResponse {
    log::error!("the pages lack {path}");
    HttpResponse::NotFound().finish()
}

fn answer_page(
    request: &HttpRequest,
    pages: &Pages,
    file: &File,
    framing: Framing,
    asked: Option<&str>,
) -> HttpResponse {
    let mut response = answer(request, file);
    cache(&mut response, pages, PAGE);
    headers::guard_page(&mut response, framing, asked);
    response
}

fn cache(response: &mut HttpResponse, pages: &Pages, kept: &str) {
    let kept = if pages.site.is_immutable() { kept } else { UNSTORED };
    headers::insert(response, header::CACHE_CONTROL, kept);
}

/// The file in an encoding that the client takes, or 304 where it has that already.
fn answer(request: &HttpRequest, file: &File) -> HttpResponse {
    let gzip = file.gzip.as_ref().filter(|_| takes_gzip(request));
    // A strong tag names bytes, so each encoding has its own.
    let tag = match gzip {
        Some(_) => format!("{}-gzip", file.tag),
        None => file.tag.clone(),
    };
    let tag = EntityTag::new_strong(tag);
    let known = IfNoneMatch::parse(request).is_ok_and(|known| match known {
        IfNoneMatch::Any => true,
        IfNoneMatch::Items(tags) => tags.iter().any(|known| known.weak_eq(&tag)),
    });
    let status = if known { StatusCode::NOT_MODIFIED } else { StatusCode::OK };
    let mut response = HttpResponse::build(status);
    if let Ok(tag) = tag.try_into_value() {
        response.insert_header((header::ETAG, tag));
    }
    response.insert_header((header::VARY, "accept-encoding"));
    if known {
        return response.finish();
    }
    response.content_type(file.kind.content_type());
    match gzip {
        Some(gzip) => response.insert_header(ContentEncoding::Gzip).body(gzip.clone()),
        None => response.body(file.plain.clone()),
    }
}

fn takes_gzip(request: &HttpRequest) -> bool {
    let Ok(accepted) = AcceptEncoding::parse(request) else { return false };
    let ours = [Encoding::gzip(), Encoding::identity()];
    accepted.negotiate(ours.iter()) == Some(Encoding::gzip())
}
