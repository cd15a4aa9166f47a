//! Puts paths, schemas and refusals together.

use std::collections::BTreeMap;

use utoipa::{
    IntoParams, ToSchema,
    openapi::{
        Components, Content, Info, License, OpenApi, Paths, Ref, RefOr, Required, Schema,
        path::{HttpMethod, OperationBuilder, Parameter, ParameterBuilder, ParameterIn},
        request_body::RequestBodyBuilder,
        response::{Response, ResponseBuilder},
        schema::{ObjectBuilder, Type},
        security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
        tag::TagBuilder,
    },
};

use crate::problem::{ErrorCode, PROBLEM_MEDIA_TYPE, Problem};

/// The document while it is being described.
#[derive(Default)]
pub(super) struct Document {
    paths: Paths,
    schemas: BTreeMap<String, RefOr<Schema>>,
}

impl Document {
    pub(super) fn add(&mut self, route: Route) {
        let route = route.with_refusals();
        self.schemas.extend(route.schemas);
        self.paths.add_path_operation(route.path, vec![route.method], route.operation.build());
    }

    pub(super) fn register<T: ToSchema>(&mut self) {
        self.schemas.extend(schemas::<T>());
    }

    pub(super) fn finish(mut self) -> OpenApi {
        self.register::<Problem>();
        let mut info = Info::new("Huisuan", env!("CARGO_PKG_VERSION"));
        info.description = Some(
            "The API of a Huisuan server. Within /v1 answers may gain fields and never lose any; requests refuse \
             unknown fields. Times are RFC 3339 in UTC, money is in millionths of a currency unit, work is in GFLOP \
             of a class, and classes are never added together."
                .to_owned(),
        );
        let mut license = License::new("Apache-2.0");
        license.identifier = Some("Apache-2.0".to_owned());
        info.license = Some(license);
        let mut components = Components::new();
        components.schemas.extend(self.schemas);
        let token = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        components.add_security_scheme("token", SecurityScheme::Http(token));
        let mut document = OpenApi::new(info, self.paths);
        document.components = Some(components);
        document.security = Some(vec![SecurityRequirement::new("token", Vec::<String>::new())]);
        let tags = [
            ("jobs", "What users submit and see."),
            ("network", "Centres and events."),
            ("books", "Usage and ledger."),
            ("server", "The server itself."),
            ("agent", "The protocol between a centre's agent and the server."),
        ];
        let tag = |(name, description)| TagBuilder::new().name(name).description(Some(description)).build();
        document.tags = Some(tags.map(tag).to_vec());
        document
    }
}

/// One route while it is being described.
pub(super) struct Route {
    path: &'static str,
    method: HttpMethod,
    operation: OperationBuilder,
    schemas: BTreeMap<String, RefOr<Schema>>,
    refusals: Vec<ErrorCode>,
    protected: bool,
    has_body: bool,
}

impl Route {
    pub(super) fn get(path: &'static str, id: &str, tag: &str, summary: &str) -> Self {
        Route::new(HttpMethod::Get, path, id, tag, summary)
    }

    pub(super) fn post(path: &'static str, id: &str, tag: &str, summary: &str) -> Self {
        Route::new(HttpMethod::Post, path, id, tag, summary)
    }

    fn new(method: HttpMethod, path: &'static str, id: &str, tag: &str, summary: &str) -> Self {
        let operation = OperationBuilder::new().operation_id(Some(id)).tag(tag).summary(Some(summary));
        Route {
            path,
            method,
            operation,
            schemas: BTreeMap::new(),
            refusals: Vec::new(),
            protected: true,
            has_body: false,
        }
    }

    /// The route needs no token.
    pub(super) fn public(mut self) -> Self {
        self.operation = self.operation.security(SecurityRequirement::default());
        self.protected = false;
        self
    }

    pub(super) fn parameter(mut self, parameter: Parameter) -> Self {
        self.operation = self.operation.parameter(parameter);
        self
    }

    pub(super) fn path_parameter(self, name: &str, description: &str, kind: Type) -> Self {
        let parameter = ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Path)
            .required(Required::True)
            .description(Some(description))
            .schema(Some(ObjectBuilder::new().schema_type(kind)))
            .build();
        self.parameter(parameter)
    }

    pub(super) fn query<T: IntoParams>(self) -> Self {
        let parameters = T::into_params(|| Some(ParameterIn::Query));
        parameters.into_iter().fold(self, Route::parameter)
    }

    pub(super) fn body<T: ToSchema>(mut self, description: &str) -> Self {
        let content = Content::new(Some(self.use_of::<T>()));
        let body = RequestBodyBuilder::new()
            .description(Some(description))
            .required(Some(Required::True))
            .content("application/json", content);
        self.operation = self.operation.request_body(Some(body.build()));
        self.has_body = true;
        self
    }

    pub(super) fn raw_body(mut self, description: &str) -> Self {
        let body = RequestBodyBuilder::new()
            .description(Some(description))
            .content("application/octet-stream", Content::new(None::<RefOr<Schema>>));
        self.operation = self.operation.request_body(Some(body.build()));
        self.has_body = true;
        self
    }

    pub(super) fn answer<T: ToSchema>(mut self, status: u16, description: &str) -> Self {
        let content = Content::new(Some(self.use_of::<T>()));
        self.respond(
            status,
            ResponseBuilder::new().description(description).content("application/json", content).build(),
        )
    }

    pub(super) fn raw_answer(self, media_type: &str, description: &str) -> Self {
        self.raw_answers(&[media_type], description)
    }

    /// One of several media types, as was asked for.
    pub(super) fn raw_answers(self, media_types: &[&str], description: &str) -> Self {
        let response = ResponseBuilder::new().description(description);
        let with = |response: ResponseBuilder, media_type: &&str| {
            response.content(*media_type, Content::new(None::<RefOr<Schema>>))
        };
        self.respond(200, media_types.iter().fold(response, with).build())
    }

    pub(super) fn no_answer(self, description: &str) -> Self {
        self.respond(204, Response::new(description))
    }

    /// Names codes; those of one status share an entry.
    pub(super) fn refused(mut self, codes: &[ErrorCode]) -> Self {
        self.refusals.extend(codes);
        self
    }

    fn respond(mut self, status: u16, response: Response) -> Self {
        self.operation = self.operation.response(status.to_string(), response);
        self
    }

    fn with_refusals(mut self) -> Self {
        let mut by_status: BTreeMap<u16, Vec<String>> = BTreeMap::new();
        // Every route may find a foreign page before it, or the server starting or stopping behind it.
        let mut common = vec![ErrorCode::Forbidden, ErrorCode::Internal, ErrorCode::Unavailable];
        if self.protected {
            common.push(ErrorCode::Unauthenticated);
        }
        if self.has_body {
            common.push(ErrorCode::TooLarge);
        }
        common.retain(|code| !self.refusals.contains(code));
        for code in self.refusals.iter().chain(&common) {
            by_status.entry(code.status()).or_default().push(format!("`{code}`: {}", code.title()));
        }
        for (status, codes) in by_status {
            let content = Content::new(Some(self.use_of::<Problem>()));
            let response = ResponseBuilder::new().description(codes.join("; ")).content(PROBLEM_MEDIA_TYPE, content);
            self = self.respond(status, response.build());
        }
        self
    }

    /// A reference to `T`, whose schema and those that it needs go into the document.
    fn use_of<T: ToSchema>(&mut self) -> RefOr<Schema> {
        self.schemas.extend(schemas::<T>());
        RefOr::Ref(Ref::from_schema_name(T::name()))
    }
}

/// The schema of `T` and all that it refers to.
fn schemas<T: ToSchema>() -> Vec<(String, RefOr<Schema>)> {
    let mut schemas = vec![(T::name().into_owned(), T::schema())];
    T::schemas(&mut schemas);
    schemas
}

/// The schema of a plain text.
pub(super) fn text() -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(Type::String).into()
}
