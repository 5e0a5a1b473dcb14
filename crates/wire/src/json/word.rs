//! The closed sets of words in answers: core's own enums, and their OpenAPI schemas.

pub use hostler_core::attempt::{Status as AttemptStatus, Strategy};
pub use hostler_core::budget::Period;
pub use hostler_core::capacity::Health;
pub use hostler_core::capacity::waiting::WaitCode;
pub use hostler_core::input::{
    Delivery, Mode as QueueMode, Outcome as InputOutcome, State as InputState,
};
pub use hostler_core::policy::{Ask, Host, RuntimeType, Security, Source, WorkspaceAccess};
pub use hostler_core::run::Status as RunStatus;
pub use hostler_core::run::outcome::Failure;
pub use hostler_core::schedule::Overlap;
pub use hostler_core::schedule::backfill::Became as TickOutcome;
pub use hostler_core::stream::Channel;
pub use hostler_core::task::{Priority, State as TaskState};
pub use hostler_core::worker::Status as WorkerStatus;

/// Schemas for types that core owns: named in `#[schema(value_type = …)]`, never made.
pub mod schema {
    use utoipa::openapi::RefOr;
    use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaFormat, Type};
    use utoipa::{PartialSchema, ToSchema};

    macro_rules! words {
        ($($name:ident: $text:literal),* $(,)?) => {$(
            pub struct $name;

            impl PartialSchema for $name {
                fn schema() -> RefOr<Schema> {
                    ObjectBuilder::new()
                        .schema_type(Type::String)
                        .description(Some($text))
                        .enum_values(Some(super::$name::ALL.iter().map(|word| word.as_str())))
                        .into()
                }
            }

            impl ToSchema for $name {}
        )*};
    }

    words! {
        Ask: "Which commands a person is asked about.",
        AttemptStatus: "Where an attempt stands.",
        Channel: "Where a log line came from.",
        Delivery: "What happened to an input at once.",
        Failure: "The class of a failure: what decides about a retry.",
        Health: "The health of an instance.",
        Host: "Where a run is executed.",
        InputOutcome: "What became of an input.",
        InputState: "Where an input stands.",
        Overlap: "What a tick does while a task of an earlier one is open.",
        Period: "How long a budget counts before it begins anew.",
        Priority: "Who goes first.",
        QueueMode: "How an input reaches the agent.",
        RunStatus: "Where a run stands.",
        RuntimeType: "The isolation that the policy asks for.",
        Security: "Which commands the agent may run.",
        Source: "Where a field of the effective policy came from.",
        Strategy: "Why an attempt was made.",
        TaskState: "Where a task stands.",
        TickOutcome: "What became of a tick of a backfill.",
        WaitCode: "Why a queued task may not start yet.",
        WorkerStatus: "Whether a worker takes work.",
        WorkspaceAccess: "What the sandbox may do with the workspace's folder.",
    }

    /// A UUID.
    pub struct Id;

    impl PartialSchema for Id {
        fn schema() -> RefOr<Schema> {
            ObjectBuilder::new()
                .schema_type(Type::String)
                .format(Some(SchemaFormat::Custom("uuid".to_owned())))
                .into()
        }
    }

    impl ToSchema for Id {}
}
