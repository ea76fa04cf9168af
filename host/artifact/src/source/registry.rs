//! The operations of the OCI distribution specification that we need, over `http` and `auth`, with retries.
//!
//! Bytes are returned as they came: hashing against the digest asked for is done by `Source`.

use std::future::Future;
use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, StatusCode, Url};
use serde::Deserialize;
use serde_json::Value;

use super::auth::{Auth, Scope};
use super::http::{Answer, Http, MAX_SMALL_ANSWER, Request};
use super::{Descriptor, MAX_MANIFEST, RegistryOptions, RetryPolicy, SourceError};
use crate::credentials::Credential;
use crate::reference::{Digest, Repository, Tag};

const ACCEPT_MANIFESTS: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
     application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json";
const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";
const MAX_TAGS: usize = 10_000;
const MAX_PAGES: usize = 100;
/// Entries read of an index of referrers before the bound on signatures is applied.
const MAX_INDEX_ENTRIES: usize = 4096;

pub(super) struct Registry {
    repository: Repository,
    http: Http,
    auth: Auth,
    retry: RetryPolicy,
}

impl Registry {
    pub(super) fn new(repository: Repository, credential: Credential, options: &RegistryOptions) -> Result<Self, SourceError> {
        let http = Http::new(&repository, options)?;
        let auth = Auth::new(credential, repository.path());
        Ok(Self { repository, http, auth, retry: options.retry })
    }

    pub(super) fn repository(&self) -> &Repository {
        &self.repository
    }

    /// The digest that a tag points to, or nothing.
    pub(super) async fn resolve(&self, tag: &Tag) -> Result<Option<Digest>, SourceError> {
        // HEAD does not count against the pull limits of public registries.
        let mut request = self.request(Method::HEAD, &format!("manifests/{tag}"), 0, format!("the tag {tag}"))?;
        request.accept = Some(ACCEPT_MANIFESTS);
        let answer = self.send(request, Scope::Pull).await?;
        match answer.status {
            StatusCode::NOT_FOUND => return Ok(None),
            status if status.is_success() => {}
            _ => return Ok(self.manifest(tag.as_str()).await?.map(|bytes| Digest::of(&bytes))),
        }
        if let Some(digest) = answer.header("docker-content-digest").and_then(|text| text.parse().ok()) {
            return Ok(Some(digest));
        }
        Ok(self.manifest(tag.as_str()).await?.map(|bytes| Digest::of(&bytes)))
    }

    /// The manifest or index under a tag or digest, or nothing.
    pub(super) async fn manifest(&self, name: &str) -> Result<Option<Vec<u8>>, SourceError> {
        let what = format!("the manifest {name}");
        let mut request = self.request(Method::GET, &format!("manifests/{name}"), MAX_MANIFEST, what)?;
        request.accept = Some(ACCEPT_MANIFESTS);
        self.found(self.send(request, Scope::Pull).await?)
    }

    pub(super) async fn blob(&self, digest: &Digest, limit: u64) -> Result<Option<Vec<u8>>, SourceError> {
        let what = format!("the blob {digest}");
        let request = self.request(Method::GET, &format!("blobs/{digest}"), limit, what)?;
        self.found(self.send(request, Scope::Pull).await?)
    }

    pub(super) async fn tags(&self) -> Result<Vec<String>, SourceError> {
        #[derive(Deserialize)]
        struct Page {
            #[serde(default)]
            tags: Option<Vec<String>>,
        }
        let mut tags = Vec::new();
        let mut url = Some(self.http.url("tags/list?n=1000")?);
        for _ in 0..MAX_PAGES {
            let Some(this) = url.take() else { break };
            let request = Request::new(Method::GET, this.clone(), MAX_SMALL_ANSWER, "the list of tags");
            let answer = self.send(request, Scope::Pull).await?;
            if !answer.status.is_success() {
                let place = self.repository.to_string();
                return Err(SourceError::NotFound { place, what: "the repository".to_owned() });
            }
            let page: Page =
                serde_json::from_slice(&answer.body).map_err(|error| self.http.malformed("the list of tags", error.to_string()))?;
            tags.extend(page.tags.unwrap_or_default());
            if tags.len() > MAX_TAGS {
                return Err(SourceError::TooLarge { what: "the list of tags".to_owned(), limit: MAX_TAGS as u64 });
            }
            url = self.next_page(&this, &answer)?;
        }
        Ok(tags)
    }

    /// Referrers by the API, or from the index under the fallback tag where the registry has no such API.
    pub(super) async fn referrers(&self, digest: &Digest) -> Result<Vec<Descriptor>, SourceError> {
        if let Some(entries) = self.referrers_by_api(digest).await? {
            return Ok(entries);
        }
        match self.manifest(digest.fallback_tag().as_str()).await? {
            Some(index) => self.entries(&index),
            None => Ok(Vec::new()),
        }
    }

    /// Nothing means: the registry has no Referrers API.
    async fn referrers_by_api(&self, digest: &Digest) -> Result<Option<Vec<Descriptor>>, SourceError> {
        let mut entries = Vec::new();
        // No artifactType filter: `+json` in a query is read differently by different registries.
        let mut url = Some(self.http.url(&format!("referrers/{digest}"))?);
        for page in 0..MAX_PAGES {
            let Some(this) = url.take() else { break };
            let what = format!("the referrers of {digest}");
            let mut request = Request::new(Method::GET, this.clone(), MAX_MANIFEST, what);
            request.accept = Some(INDEX_TYPE);
            let answer = self.send(request, Scope::Pull).await?;
            if !answer.status.is_success() {
                if page == 0 {
                    return Ok(None);
                }
                return Err(self.http.malformed("the referrers", "a page of the list does not exist"));
            }
            match self.entries(&answer.body) {
                Ok(found) => entries.extend(found),
                // Some front ends answer 200 with a page for people to what they do not know.
                Err(_) if page == 0 && !claims_index(&answer) => return Ok(None),
                Err(error) => return Err(error),
            }
            if entries.len() > MAX_INDEX_ENTRIES {
                break;
            }
            url = self.next_page(&this, &answer)?;
        }
        Ok(Some(entries))
    }

    /// The usable entries of an index; one that is broken must not hide the others.
    fn entries(&self, index: &[u8]) -> Result<Vec<Descriptor>, SourceError> {
        #[derive(Deserialize)]
        struct Index {
            #[serde(default)]
            manifests: Option<Vec<Value>>,
        }
        let index: Index =
            serde_json::from_slice(index).map_err(|error| self.http.malformed("the index of referrers", error.to_string()))?;
        let entries = index.manifests.unwrap_or_default();
        Ok(entries.into_iter().take(MAX_INDEX_ENTRIES + 1).filter_map(|entry| serde_json::from_value(entry).ok()).collect())
    }

    pub(super) async fn put_blob(&self, digest: &Digest, bytes: &[u8]) -> Result<(), SourceError> {
        let head = self.request(Method::HEAD, &format!("blobs/{digest}"), 0, format!("the blob {digest}"))?;
        if self.send(head, Scope::Push).await?.status.is_success() {
            return Ok(());
        }
        // An upload that broke off is begun anew: its session may be gone.
        self.retrying(|| async {
            let what = format!("an upload to {}", self.repository);
            let begin = self.request(Method::POST, "blobs/uploads/", MAX_SMALL_ANSWER, what.clone())?;
            let begin_url = begin.url.clone();
            let begun = self.written(self.auth.send(&self.http, begin, Scope::Push).await?, &what)?;
            let location = begun.header("location").ok_or_else(|| self.http.malformed(&what, "no Location header"))?;
            let mut url = self.http.named_url(&begin_url, location)?;
            url.query_pairs_mut().append_pair("digest", &digest.to_string());
            let mut put = Request::new(Method::PUT, url, MAX_SMALL_ANSWER, what.clone());
            put.content_type = Some("application/octet-stream".to_owned());
            put.body = Some(bytes.to_vec());
            self.written(self.auth.send(&self.http, put, Scope::Push).await?, &what).map(drop)
        })
        .await
    }

    /// Whether the registry said that it took note of the manifest's subject.
    pub(super) async fn put_manifest(&self, name: &str, bytes: &[u8], media_type: &str) -> Result<bool, SourceError> {
        let what = format!("writing the manifest {name}");
        let mut request = self.request(Method::PUT, &format!("manifests/{name}"), MAX_SMALL_ANSWER, what.clone())?;
        request.content_type = Some(media_type.to_owned());
        request.body = Some(bytes.to_vec());
        let answer = self.written(self.send(request, Scope::Push).await?, &what)?;
        Ok(answer.header("oci-subject").is_some())
    }

    pub(super) async fn attach(&self, subject: &Digest, manifest: &[u8], entry: Descriptor) -> Result<(), SourceError> {
        let noted = self.put_manifest(&entry.digest.to_string(), manifest, &entry.media_type).await?;
        if noted || self.referrers_by_api(subject).await?.is_some() {
            return Ok(());
        }
        // Nothing locks a tag: write, look, and write again if somebody else's index replaced ours.
        for _ in 0..5 {
            let tag = subject.fallback_tag();
            let index = self.manifest(tag.as_str()).await?;
            let Some(grown) = self.with_entry(index.as_deref(), &entry)? else { return Ok(()) };
            self.put_manifest(tag.as_str(), &grown, INDEX_TYPE).await?;
        }
        Err(self.http.malformed(format!("the tag {}", subject.fallback_tag()), "others keep replacing the index"))
    }

    /// The index with `entry` added, or nothing if it is there already.
    fn with_entry(&self, index: Option<&[u8]>, entry: &Descriptor) -> Result<Option<Vec<u8>>, SourceError> {
        let malformed = |detail: String| self.http.malformed("the index of referrers", detail);
        let mut index: Value = match index {
            Some(bytes) => serde_json::from_slice(bytes).map_err(|error| malformed(error.to_string()))?,
            None => serde_json::json!({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": []}),
        };
        let entries = index.get_mut("manifests").and_then(Value::as_array_mut);
        let entries = entries.ok_or_else(|| malformed("it has no list of manifests".to_owned()))?;
        let ours = entry.digest.to_string();
        if entries.iter().any(|other| other.get("digest").and_then(Value::as_str) == Some(&ours)) {
            return Ok(None);
        }
        entries.push(serde_json::to_value(entry).map_err(|error| malformed(error.to_string()))?);
        serde_json::to_vec(&index).map(Some).map_err(|error| malformed(error.to_string()))
    }

    fn request(&self, method: Method, path: &str, limit: u64, what: impl Into<String>) -> Result<Request, SourceError> {
        Ok(Request::new(method, self.http.url(path)?, limit, what))
    }

    async fn send(&self, request: Request, scope: Scope) -> Result<Answer, SourceError> {
        self.retrying(|| self.auth.send(&self.http, request.clone(), scope)).await
    }

    fn found(&self, answer: Answer) -> Result<Option<Vec<u8>>, SourceError> {
        Ok(answer.status.is_success().then_some(answer.body))
    }

    fn written(&self, answer: Answer, what: &str) -> Result<Answer, SourceError> {
        if answer.status.is_success() {
            return Ok(answer);
        }
        let (registry, status) = (self.http.registry().to_owned(), answer.status.as_u16());
        Err(SourceError::Refused { registry, status, what: what.to_owned() })
    }

    /// The `Link` header's next page, which must be on the registry itself.
    fn next_page(&self, this: &Url, answer: &Answer) -> Result<Option<Url>, SourceError> {
        let Some(link) = answer.header("link") else { return Ok(None) };
        let next = link.split(',').find(|part| part.contains("rel=\"next\"") || part.contains("rel=next"));
        let target = next.and_then(|part| part.split_once('<')?.1.split_once('>').map(|(target, _)| target));
        let Some(target) = target else { return Ok(None) };
        let url = this.join(target).map_err(|error| self.http.malformed("a Link header", error.to_string()))?;
        if self.http.is_own(&url) { Ok(Some(url)) } else { Err(self.http.malformed("a Link header", "it leads to another host")) }
    }

    async fn retrying<T, F, Fut>(&self, operation: F) -> Result<T, SourceError>
    where
        F: Fn() -> Fut,
        Fut: Future<Output = Result<T, SourceError>>,
    {
        let (mut attempt, mut wait) = (1, self.retry.first_wait);
        loop {
            let error = match operation().await {
                Err(error) if error.is_transient() && attempt < self.retry.attempts => error,
                ended => return ended,
            };
            let asked = match &error {
                SourceError::Throttled { retry_after, .. } => retry_after.unwrap_or_default(),
                _ => Duration::ZERO,
            };
            let jittered = wait.mul_f64(rand::random_range(0.5..1.0)).max(asked).min(self.retry.longest_wait);
            tracing::debug!(attempt, ?jittered, %error, "registry is asked again");
            tokio::time::sleep(jittered).await;
            (attempt, wait) = (attempt + 1, (wait * 2).min(self.retry.longest_wait));
        }
    }
}

fn claims_index(answer: &Answer) -> bool {
    answer.header(CONTENT_TYPE.as_str()).is_some_and(|kind| kind.starts_with(INDEX_TYPE) || kind.starts_with("application/json"))
}
