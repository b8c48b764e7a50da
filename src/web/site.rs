//! The site: the files in the form in which they are served.

use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::{fmt, fs};

use aws_lc_rs::digest::{Context, SHA256, digest};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use rust_embed::Embed;

use super::join::{JoinError, Modules, join};
use super::slim::slim;

/// The modules that browsers ask for by their address. All others are served as parts of these.
const ENTRIES: &[&str] = &[
    "check/check.js",
    "client/frontdesk.js",
    "debug/debug.js",
    "demo/demo.js",
    "demo/shop.js",
    "desk/desk.js",
    "docs/docs.js",
    "i18n/desk/en.js",
    "i18n/desk/fr.js",
    "i18n/desk/ko.js",
    "i18n/desk/zh.js",
    "i18n/en.js",
    "i18n/fr.js",
    "i18n/ko.js",
    "i18n/pages/en.js",
    "i18n/pages/fr.js",
    "i18n/pages/ko.js",
    "i18n/pages/zh.js",
    "i18n/zh.js",
    "widget/launcher.js",
    "widget/panel.js",
];
/// Files with an address of their own, beside the hashed ones.
const LOADER: &str = "widget/loader.js";
/// The name in pages and in the loader that stands for the tree's own.
const TREE: &str = "/_/tree/";
/// The tree's name where the files are read from a folder.
const UNHASHED: &str = "tree";
/// Digits of the tree's name.
const HASH_DIGITS: usize = 16;
/// The largest file that is read from a folder, in bytes: scripts and styles are far smaller.
const FILE_BYTES: u64 = 1 << 20;

#[derive(Embed)]
#[folder = "web/"]
#[include = "*.js"]
#[include = "*.css"]
#[include = "*.html"]
#[include = "*.svg"]
struct Embedded;

/// Failure to read or to join the files.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    #[error("the pages cannot be joined: {0}")]
    Join(#[from] JoinError),
    #[error("the pages have {0}, which is not UTF-8")]
    NotText(String),
    #[error("the pages cannot be compressed: {0}")]
    Compress(#[from] io::Error),
}

/// The kind of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Script,
    Style,
    Page,
    Image,
}

impl Kind {
    fn of(path: &str) -> Option<Self> {
        match path.rsplit_once('.')?.1 {
            "js" => Some(Self::Script),
            "css" => Some(Self::Style),
            "html" => Some(Self::Page),
            "svg" => Some(Self::Image),
            _ => None,
        }
    }

    /// The media type.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Script => "text/javascript; charset=utf-8",
            Self::Style => "text/css; charset=utf-8",
            Self::Page => "text/html; charset=utf-8",
            Self::Image => "image/svg+xml",
        }
    }
}

/// A file as it is served, in two encodings.
#[derive(Debug, Clone)]
pub struct File {
    pub kind: Kind,
    pub plain: Bytes,
    /// Missing where the file is read from a folder.
    pub gzip: Option<Bytes>,
    /// A name of the content: hexadecimal digits.
    pub tag: String,
}

impl File {
    fn new(kind: Kind, text: String) -> Result<Self, SiteError> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(text.as_bytes())?;
        let gzip = Some(encoder.finish()?.into());
        Ok(Self { kind, tag: hash(text.as_bytes()), plain: text.into(), gzip })
    }

    /// The page with data in the place of a name. What could end the element around it is escaped
    /// as JSON allows.
    #[must_use]
    pub fn with_data(&self, name: &str, json: &str) -> Self {
        let text =
            String::from_utf8_lossy(&self.plain).replace(name, &json.replace('<', "\\u003c"));
        Self::unhashed(self.kind, text)
    }

    fn unhashed(kind: Kind, text: String) -> Self {
        Self { kind, tag: hash(text.as_bytes()), plain: text.into(), gzip: None }
    }
}

/// All files. Cheap to share, never changed.
pub struct Site {
    source: Source,
    /// The tree's name, the one folder below `/_/`.
    tree: String,
    locales: Vec<String>,
}

enum Source {
    /// By path. Pages, and the loader, already name the tree.
    Program(BTreeMap<String, File>),
    /// For those who change the files: each is read when it is asked for, as it lies.
    Folder(PathBuf),
}

impl Site {
    /// The files in the program, or those in a folder.
    ///
    /// # Errors
    /// A file in the program that cannot be served: a mistake in the repository, which its tests find.
    pub fn new(folder: Option<&Path>) -> Result<Self, SiteError> {
        let texts = embedded()?;
        let is_locale = |path: &str| {
            let name = path.strip_prefix("i18n/")?.strip_suffix(".js")?;
            (!name.contains('/') && is_entry(path)).then(|| name.to_owned())
        };
        let locales = texts.keys().filter_map(|path| is_locale(path)).collect();
        if let Some(folder) = folder {
            let source = Source::Folder(folder.to_owned());
            return Ok(Self { source, tree: UNHASHED.to_owned(), locales });
        }
        let (tree, files) = prepared(texts)?;
        Ok(Self { source: Source::Program(files), tree, locales })
    }

    /// The folder of scripts and styles: `/_/…/`.
    #[must_use]
    pub fn base(&self) -> String {
        format!("/_/{}/", self.tree)
    }

    /// Languages that have texts, as in `en`.
    #[must_use]
    pub fn locales(&self) -> &[String] {
        &self.locales
    }

    /// True if the files never change at their addresses.
    #[must_use]
    pub fn is_immutable(&self) -> bool {
        matches!(self.source, Source::Program(_))
    }

    /// A script, a style or an image of the tree named `tree`.
    #[must_use]
    pub fn asset(&self, tree: &str, path: &str) -> Option<File> {
        let kind = Kind::of(path).filter(|kind| *kind != Kind::Page)?;
        if tree != self.tree || path == LOADER {
            return None;
        }
        self.file(kind, path)
    }

    /// A page, by its path in the tree.
    #[must_use]
    pub fn page(&self, path: &str) -> Option<File> {
        self.file(Kind::Page, path)
    }

    /// The script that hosts put into their pages.
    #[must_use]
    pub fn loader(&self) -> Option<File> {
        self.file(Kind::Script, LOADER)
    }

    fn file(&self, kind: Kind, path: &str) -> Option<File> {
        match &self.source {
            Source::Program(files) => files.get(path).cloned(),
            Source::Folder(folder) => read(folder, kind, path),
        }
    }
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Site").field("tree", &self.tree).finish_non_exhaustive()
    }
}

/// Reads a file of a folder, and of nothing outside it.
fn read(folder: &Path, kind: Kind, path: &str) -> Option<File> {
    let is_plain = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.contains('\\');
    if !path.split('/').all(is_plain) {
        return None;
    }
    let mut text = String::new();
    let file = fs::File::open(folder.join(path)).ok()?;
    file.take(FILE_BYTES).read_to_string(&mut text).ok()?;
    Some(File::unhashed(kind, text))
}

fn is_entry(path: &str) -> bool {
    ENTRIES.contains(&path)
}

fn embedded() -> Result<Modules, SiteError> {
    Embedded::iter()
        .filter_map(|path| Embedded::get(&path).map(|file| (path.into_owned(), file.data)))
        .map(|(path, data)| match String::from_utf8(data.into_owned()) {
            Ok(text) => Ok((path, text)),
            Err(_) => Err(SiteError::NotText(path)),
        })
        .collect()
}

/// Joins scripts, and names the tree in the pages. Returns its name, and the files.
fn prepared(texts: Modules) -> Result<(String, BTreeMap<String, File>), SiteError> {
    let mut assets = BTreeMap::new();
    for (path, text) in &texts {
        let served = match Kind::of(path) {
            Some(Kind::Script) if is_entry(path) => slim(&join(&texts, is_entry, path)?),
            Some(Kind::Style) => slim(text),
            Some(Kind::Image) => text.clone(),
            _ => continue,
        };
        assets.insert(path.as_str(), served);
    }
    let mut context = Context::new(&SHA256);
    for (path, text) in &assets {
        context.update(path.as_bytes());
        context.update(&[0]);
        context.update(text.as_bytes());
        context.update(&[0]);
    }
    let tree = hex(context.finish().as_ref());
    let named = |text: &str| text.replace(TREE, &format!("/_/{tree}/"));
    let mut files = BTreeMap::new();
    for (path, text) in &texts {
        let served = match Kind::of(path) {
            Some(Kind::Page) => named(text),
            Some(Kind::Script) if path == LOADER => named(&slim(text)),
            _ => continue,
        };
        let kind = if path == LOADER { Kind::Script } else { Kind::Page };
        files.insert(path.clone(), File::new(kind, served)?);
    }
    for (path, text) in assets {
        let Some(kind) = Kind::of(path) else { continue };
        files.insert(path.to_owned(), File::new(kind, text)?);
    }
    Ok((tree, files))
}

fn hash(bytes: &[u8]) -> String {
    hex(digest(&SHA256, bytes).as_ref())
}

/// The first digits: enough that two contents never share them by accident.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().take(HASH_DIGITS / 2).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::GzDecoder;

    use super::*;

    fn site() -> Site {
        Site::new(None).expect("the repository's pages can be served")
    }

    fn texts(files: &[(&str, &str)]) -> Modules {
        files.iter().map(|&(path, text)| (path.to_owned(), text.to_owned())).collect()
    }

    #[test]
    fn the_repositorys_pages_can_be_served() {
        let site = site();
        assert!(site.page("desk/index.html").is_some());
        assert!(site.asset(&site.tree, "favicon.svg").is_some());
    }

    #[test]
    fn a_page_names_the_tree_and_both_encodings_are_the_same() {
        let site = site();
        let page = site.page("desk/index.html").expect("a page");
        let text = String::from_utf8(page.plain.to_vec()).expect("UTF-8");
        assert!(text.contains(&site.base()) && !text.contains(TREE), "{text}");
        let mut unzipped = String::new();
        let gzip = page.gzip.expect("an encoding");
        GzDecoder::new(&*gzip).read_to_string(&mut unzipped).expect("gzip");
        assert_eq!(unzipped, text);
    }

    #[test]
    fn data_in_a_page_cannot_end_its_element_and_names_the_page() {
        let page = File::new(Kind::Page, "<script>DATA</script>".into()).expect("a page");
        let filled = page.with_data("DATA", r#"{"name":"</script>"}"#);
        assert_eq!(&*filled.plain, br#"<script>{"name":"\u003c/script>"}</script>"#);
        assert_ne!(filled.tag, page.tag);
        assert!(filled.gzip.is_none(), "the former text");
    }

    #[test]
    fn the_tree_is_named_by_all_that_is_served_in_it() {
        let name = |script: &str, page: &str| {
            let files = [("client/frontdesk.js", script), ("desk/index.html", page)];
            prepared(texts(&files)).expect("plain").0
        };
        let before = name("export const a = 1", "A");
        assert_eq!(before.len(), HASH_DIGITS);
        assert_eq!(before, name("// Said.\nexport const a = 1", "B"), "not what is left out");
        assert_ne!(before, name("export const a = 2", "A"));
    }

    #[test]
    fn nothing_is_found_under_another_trees_name_or_outside_of_the_tree() {
        let site = site();
        for path in ["desk/index.html", LOADER, "../Cargo.toml", "client/README.md", ""] {
            assert!(site.asset(&site.tree, path).is_none(), "{path}");
        }
        assert!(site.asset("0000000000000000", "favicon.svg").is_none());
    }

    #[test]
    fn a_folder_is_served_as_it_lies_and_nothing_beside_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let inside = folder.path().join("web");
        fs::create_dir_all(inside.join("client")).expect("a folder");
        fs::write(inside.join("client/queue.js"), "// Said.\n").expect("a file");
        fs::write(folder.path().join("secret.js"), "secret").expect("a file");
        let site = Site::new(Some(&inside)).expect("a site");
        let file = site.asset("tree", "client/queue.js").expect("a part, too");
        assert_eq!(&*file.plain, b"// Said.\n");
        for path in ["../secret.js", "client/../../secret.js", "./client/queue.js", "/secret.js"] {
            assert!(site.asset("tree", path).is_none(), "{path}");
        }
    }
}
