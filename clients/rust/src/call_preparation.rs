//! What is done to each call before it is sent.

use std::fmt;
use std::sync::Arc;

use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Status};

use crate::options::{Options, OptionsError};
use crate::trace_context;

/// A connection that sends the key and the project with each call, after its interceptors have seen it.
pub type Connection = InterceptedService<Channel, CallPreparation>;

/// Sees the metadata of each call before it is sent, and may change them or refuse the call: an [`Interceptor`] of tonic, such as a
/// closure. Each attempt of a call that is repeated, and each stream that a watch opens, is a call; those of the generated clients
/// are too.
///
/// `request.extensions().get::<tonic::GrpcMethod>()` names the service and the method. `traceparent` is there where a trace context
/// is sent; the key and the project are not, and are set afterwards. A status that is returned is what the call ends in: the
/// client treats it as if the server had sent it, and so repeats what ended in UNAVAILABLE.
///
/// ```
/// use prompt_ledger_client::tonic::{Request, Status};
/// use prompt_ledger_client::{CallInterceptor, Options};
///
/// let tenant = CallInterceptor::new(|mut request: Request<()>| -> Result<_, Status> {
///     request.metadata_mut().insert("x-tenant", "acme".parse().map_err(|_| Status::internal("no header"))?);
///     Ok(request)
/// });
/// let options = Options { interceptors: vec![tenant], ..Options::default() };
/// # let _ = options;
/// ```
#[derive(Clone)]
pub struct CallInterceptor(Arc<InterceptFn>);

type InterceptFn = dyn Fn(Request<()>) -> Result<Request<()>, Status> + Send + Sync;

impl CallInterceptor {
    /// It is cloned for each call; what its clones share, such as an `Arc`, outlives one.
    pub fn new(interceptor: impl Interceptor + Clone + Send + Sync + 'static) -> Self {
        Self(Arc::new(move |request| interceptor.clone().call(request)))
    }
}

/// What it holds is not shown.
impl fmt::Debug for CallInterceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CallInterceptor")
    }
}

/// Adds the trace context, lets the interceptors see the call, and adds the key and the project, which they thereby neither see nor
/// replace.
#[derive(Clone, Debug)]
pub struct CallPreparation {
    interceptors: Arc<[CallInterceptor]>,
    /// Absent: none is sent.
    api_key: Option<MetadataValue<Ascii>>,
    /// Absent: the key's own.
    project: Option<MetadataValue<Ascii>>,
}

impl Options {
    /// What these options ask to be done to each call.
    pub(crate) fn preparation(&self) -> Result<CallPreparation, OptionsError> {
        let api_key = match self.api_key.0.as_str() {
            "" => None,
            key => {
                let mut key: MetadataValue<Ascii> = key.parse().map_err(|_| OptionsError::ApiKey)?;
                key.set_sensitive(true);
                Some(key)
            }
        };
        let project = self.project.as_deref().map(|project| {
            let value: Result<MetadataValue<Ascii>, _> = project.parse();
            value.map_err(|_| OptionsError::Project(project.to_owned()))
        });
        Ok(CallPreparation { interceptors: self.interceptors.clone().into(), api_key, project: project.transpose()? })
    }
}

impl Interceptor for CallPreparation {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        trace_context::inject(request.metadata_mut());
        for interceptor in self.interceptors.iter() {
            request = (interceptor.0)(request)?;
        }
        let metadata = request.metadata_mut();
        for (name, value) in [("x-api-key", &self.api_key), ("x-ledger-project", &self.project)] {
            if let Some(value) = value {
                metadata.insert(name, value.clone());
            }
        }
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_key(key: &str) -> Options {
        Options { api_key: key.into(), project: Some("shop".into()), ..Options::default() }
    }

    fn sent(options: &Options) -> Result<Request<()>, Status> {
        options.preparation().unwrap().call(Request::new(()))
    }

    #[test]
    fn a_key_is_sent_and_never_shown() {
        let options = with_key("pl_very-secret");
        let shown = format!("{options:?} {:?}", options.preparation().unwrap());
        assert!(!shown.contains("very-secret"), "{shown}");
        let sent = sent(&options).unwrap();
        assert_eq!(sent.metadata().get("x-api-key").unwrap(), "pl_very-secret");
        assert_eq!(sent.metadata().get("x-ledger-project").unwrap(), "shop");
        assert!(!format!("{sent:?}").contains("very-secret"), "{sent:?}");
    }

    #[test]
    fn without_a_key_none_is_sent() {
        assert!(sent(&Options::default()).unwrap().metadata().is_empty());
    }

    #[test]
    fn what_cannot_be_sent_is_told_without_the_key() {
        let error = with_key("very-secret\n").preparation().unwrap_err();
        assert_eq!(error, OptionsError::ApiKey);
        assert!(!format!("{error} {error:?}").contains("very-secret"));
        let options = Options { project: Some("a\nb".into()), ..Options::default() };
        assert_eq!(options.preparation().unwrap_err(), OptionsError::Project("a\nb".into()));
    }

    #[test]
    fn interceptors_see_each_other_and_neither_see_nor_replace_the_key() {
        let first = CallInterceptor::new(|mut request: Request<()>| {
            assert!(request.metadata().is_empty(), "{request:?}");
            request.metadata_mut().insert("x-tenant", "acme".parse().unwrap());
            request.metadata_mut().insert("x-api-key", "another".parse().unwrap());
            Ok(request)
        });
        let second = CallInterceptor::new(|mut request: Request<()>| {
            let tenant = request.metadata_mut().remove("x-tenant").unwrap();
            request.metadata_mut().insert("x-seen", tenant);
            Ok(request)
        });
        let options = Options { interceptors: vec![first, second], ..with_key("pl_key") };
        let sent = sent(&options).unwrap();
        let mut names: Vec<_> = sent.metadata().keys().map(|key| format!("{key:?}")).collect();
        names.sort_unstable();
        assert_eq!(names, [r#"Ascii("x-api-key")"#, r#"Ascii("x-ledger-project")"#, r#"Ascii("x-seen")"#]);
        assert_eq!(sent.metadata().get("x-seen").unwrap(), "acme");
        assert_eq!(sent.metadata().get("x-api-key").unwrap(), "pl_key");
        assert!(format!("{options:?}").contains("[CallInterceptor, CallInterceptor]"), "{options:?}");
    }

    #[test]
    #[allow(clippy::disallowed_methods, reason = "a user's own refusal")]
    fn a_refusal_ends_the_call_before_the_next_interceptor() {
        let refusing = CallInterceptor::new(|_| Err(Status::permission_denied("not from here")));
        let next = CallInterceptor::new(|_| panic!("it is refused already"));
        let refused = sent(&Options { interceptors: vec![refusing, next], ..Options::default() }).unwrap_err();
        assert_eq!((refused.code(), refused.message()), (tonic::Code::PermissionDenied, "not from here"));
    }
}
