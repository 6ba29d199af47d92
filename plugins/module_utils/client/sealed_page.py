# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""A configuration in one HTML file, which any browser opens by a passphrase, without a network and without a program.

AES-256-GCM with a key that PBKDF2 makes of the passphrase: what browsers have (Web Cryptography API).
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import secrets
from contextlib import suppress
from string import Template

from .qr import QrError, is_possible, qr_code

with suppress(ImportError):  # the module that needs it reports it
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

ITERATIONS = 600_000  # of SHA-256, as OWASP's Password Storage Cheat Sheet (2023) has it
_SALT, _NONCE, _KEY = 16, 12, 32  # bytes; NIST SP 800-132 and 800-38D


def seal(config: str, name: str, passphrase: str) -> bytes:
    """Return the page.

    :param config: the text that `wg-quick` and the WireGuard apps read.
    :param name: of the device, as the page's heading and its file have it: `carol/phone`.
    :param passphrase: as `age.new_passphrase` makes it.
    """
    salt, nonce = secrets.token_bytes(_SALT), secrets.token_bytes(_NONCE)
    key = hashlib.pbkdf2_hmac("sha256", passphrase.encode(), salt, ITERATIONS, _KEY)
    content = json.dumps({"config": config, "code": _code(config)}).encode()
    sealed = {
        "salt": _text(salt),
        "nonce": _text(nonce),
        "iterations": ITERATIONS,
        "content": _text(AESGCM(key).encrypt(nonce, content, None)),
        "file": f"{name.partition('/')[2] or 'vpn0'}.conf",
    }
    # nothing of this can end the script: base64, and a device's name, which has none of <, > and &
    return _PAGE.substitute(name=html.escape(name), sealed=json.dumps(sealed)).encode()


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _code(config: str) -> str:
    """Return the QR code as the address of an image; empty where there is none."""
    with suppress(QrError):
        return f"data:image/svg+xml;base64,{_text(qr_code(config, '.svg'))}" if is_possible() else ""
    return ""


_PAGE = Template("""\
<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>VPN of $name</title>
<style>
  :root { color-scheme: light dark }
  body { font: 1.1rem/1.5 system-ui, sans-serif; max-width: 36rem; margin: 2rem auto; padding: 0 1rem }
  input, button { font: inherit; padding: .4rem .6rem; max-width: 100%; box-sizing: border-box }
  input { width: 100%; font-family: ui-monospace, monospace; margin: .3rem 0 .6rem }
  img { background: #fff; padding: .6rem; max-width: 100%; box-sizing: border-box }
  [role=alert]:not(:empty) { border-left: .3rem solid #c33; padding-left: .6rem }
</style>
<h1>VPN of $name</h1>
<noscript><p>This page opens itself by JavaScript, which is switched off here.</p></noscript>
<form>
  <label for="passphrase">Passphrase</label>
  <input id="passphrase" autocomplete="off" autocapitalize="off" spellcheck="false" required>
  <button>Open</button>
</form>
<p role="alert"></p>
<section hidden aria-label="Configuration">
  <p>On a phone or tablet: install the WireGuard app, choose <b>Scan from QR code</b>, and point it here.</p>
  <p><img alt="QR code of the configuration"></p>
  <p>On a computer: save the file, and choose <b>Import tunnel(s) from file</b> in the WireGuard app.</p>
  <p><a>Save the file</a></p>
  <p>Whoever has the code or the file can use the VPN as you: show them to nobody, and delete both files once the
    tunnel works.</p>
</section>
<script>
  "use strict"
  const sealed = $sealed
  const bytes = text => Uint8Array.from(atob(text), letter => letter.charCodeAt(0))
  const say = text => { document.querySelector("[role=alert]").textContent = text }

  async function opened(passphrase) {
    const secret = await crypto.subtle.importKey(
      "raw", new TextEncoder().encode(passphrase), "PBKDF2", false, ["deriveKey"])
    const key = await crypto.subtle.deriveKey(
      { name: "PBKDF2", hash: "SHA-256", salt: bytes(sealed.salt), iterations: sealed.iterations },
      secret, { name: "AES-GCM", length: 256 }, false, ["decrypt"])
    const content = await crypto.subtle.decrypt(
      { name: "AES-GCM", iv: bytes(sealed.nonce) }, key, bytes(sealed.content))
    return JSON.parse(new TextDecoder().decode(content))
  }

  document.querySelector("form").addEventListener("submit", async event => {
    event.preventDefault()
    if (!globalThis.crypto || !crypto.subtle) {
      say("This program can't open it. Save the file on a computer, and open it in Firefox, Chrome, Edge or Safari.")
      return
    }
    say("Opening…")
    let found
    try {
      found = await opened(document.getElementById("passphrase").value.trim().toLowerCase())
    } catch {
      say("That isn't the passphrase: six groups of four letters and digits, with hyphens between them.")
      return
    }
    say("")
    const image = document.querySelector("img"), link = document.querySelector("a")
    if (found.code) image.src = found.code
    else image.closest("p").textContent = "The configuration is too long for a code: use the file."
    link.href = URL.createObjectURL(new Blob([found.config], { type: "application/octet-stream" }))
    link.download = sealed.file
    document.querySelector("form").hidden = true
    document.querySelector("section").hidden = false
    link.focus()
  })
</script>
</html>
""")
