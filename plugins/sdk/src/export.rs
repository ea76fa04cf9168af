//! The macro that makes a plugin of components, providers and admissions.

/// Makes the plugin of this crate: a struct `Exports` that implements [`Plugin`](crate::Plugin), and in WebAssembly the exports of the
/// contract. The version is the crate's. All parts but the name may be left out; their order is fixed:
///
/// ```text
/// export_plugin!(
///     name: "redis",
///     summary: "Redis for …",
///     homepage: "https://…",
///     config: PluginConfig,              // type of Plugin.spec.config
///     components: [Redis],               // types that implement Component
///     unseal_providers: [OciKms],        // types that implement UnsealProvider
///     admissions: [RedisAdmission],      // types that implement Admission
///     kinds: [KindSource::watch(CRD)],   // values
///     images: {"server": "docker.io/library/redis:8"},
///     permissions: serde_json::json!({…}),
/// );
/// ```
#[macro_export]
macro_rules! export_plugin {
    (
        name: $name:expr
        $(, summary: $summary:expr)?
        $(, homepage: $homepage:expr)?
        $(, config: $config:ty)?
        $(, components: [$($component:ty),* $(,)?])?
        $(, unseal_providers: [$($provider:ty),* $(,)?])?
        $(, admissions: [$($admission:ty),* $(,)?])?
        $(, kinds: [$($kind:expr),* $(,)?])?
        $(, images: {$($role:literal : $image:expr),* $(,)?})?
        $(, permissions: $permissions:expr)?
        $(,)?
    ) => {
        /// This crate's plugin, as the host calls it.
        pub struct Exports;

        impl $crate::Plugin for Exports {
            fn describe() -> $crate::wit::Descriptor {
                let descriptor = $crate::PluginDescriptor::new($name, ::core::env!("CARGO_PKG_VERSION"));
                $(let descriptor = descriptor.summary($summary);)?
                $(let descriptor = descriptor.homepage($homepage);)?
                let descriptor = descriptor.license(::core::env!("CARGO_PKG_LICENSE"));
                $(let descriptor = descriptor.config::<$config>();)?
                $($(let descriptor = descriptor.component::<$component>();)*)?
                $($(let descriptor = descriptor.unseal_provider::<$provider>();)*)?
                $($(let descriptor = descriptor.admission::<$admission>();)*)?
                $($(let descriptor = descriptor.kind($kind);)*)?
                $($(let descriptor = descriptor.image($role, $image);)*)?
                $(let descriptor = descriptor.permissions(&$permissions);)?
                descriptor.build()
            }

            $(
                fn reconcile(
                    request: $crate::wit::Request,
                ) -> ::core::result::Result<$crate::wit::Response, $crate::wit::Failure> {
                    $(
                        if request.component == <$component as $crate::Component>::NAME {
                            return $crate::component::reconcile::<$component>(request);
                        }
                    )*
                    ::core::result::Result::Err($crate::plugin::missing("component", &request.component))
                }
            )?

            $(
                fn render(
                    request: $crate::wit::SealRequest,
                ) -> ::core::result::Result<$crate::wit::Seal, $crate::wit::Failure> {
                    $crate::__render_seal!(request, $($provider),*)
                }
            )?

            $(
                fn review(
                    request: $crate::wit::ReviewRequest,
                ) -> ::core::result::Result<$crate::wit::ReviewResponse, $crate::wit::Failure> {
                    $(
                        if $crate::admission::judges::<$admission>(&request) {
                            return $crate::admission::review::<$admission>(request);
                        }
                    )*
                    ::core::result::Result::Err($crate::plugin::missing("admission", &request.kind))
                }
            )?
        }

        #[cfg(target_family = "wasm")]
        type __ExportedWorld = $crate::Exported<Exports>;
        #[cfg(target_family = "wasm")]
        $crate::bindings::export_world!(__ExportedWorld with_types_in $crate::bindings);
    };
}

/// The seal request names no provider, so a plugin has one.
#[doc(hidden)]
#[macro_export]
macro_rules! __render_seal {
    ($request:ident, $provider:ty) => {
        $crate::seal::render::<$provider>($request)
    };
}
