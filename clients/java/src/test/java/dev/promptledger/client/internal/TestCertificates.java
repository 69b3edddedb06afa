package dev.promptledger.client.internal;

/** A certificate that nobody trusts, and its key. */
public final class TestCertificates {
    public static final String CERTIFICATE = """
            -----BEGIN CERTIFICATE-----
            MIIBkDCCATegAwIBAgIUUmD5ADDJqLER51YJ2IU8adrYqXAwCgYIKoZIzj0EAwIw
            HTEbMBkGA1UEAwwScHJvbXB0LWxlZGdlciB0ZXN0MCAXDTI2MTEzMDEzNTc0MFoY
            DzIxMjYxMTA2MTM1NzQwWjAdMRswGQYDVQQDDBJwcm9tcHQtbGVkZ2VyIHRlc3Qw
            WTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAARF4CDaLmyRzIkl/kD0IUWgH2UiNEFS
            VboLl3GBOU3tscTcSf0gfY4AqYszB9ExOqnCcoU5dgeM+3MYghcDWfWNo1MwUTAd
            BgNVHQ4EFgQUacsus2L2aM9VhXZcVjXP73RkkyAwHwYDVR0jBBgwFoAUacsus2L2
            aM9VhXZcVjXP73RkkyAwDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNHADBE
            AiA8Iw54dGXnXS+ue9eMnManZKkAeJwTDxSmrFAGRgGZ5AIgVUv4Lc9xBu79599X
            qHWaGi7Autqn0vEe533LoZY+cNQ=
            -----END CERTIFICATE-----
            """;

    public static final String KEY = """
            -----BEGIN PRIVATE KEY-----
            MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgrzrmMotjny2psr+s
            bqLWXBB+YynbKjvCiEaz70pGyouhRANCAARF4CDaLmyRzIkl/kD0IUWgH2UiNEFS
            VboLl3GBOU3tscTcSf0gfY4AqYszB9ExOqnCcoU5dgeM+3MYghcDWfWN
            -----END PRIVATE KEY-----
            """;

    private TestCertificates() {}
}
