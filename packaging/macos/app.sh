#!/bin/sh
# fclocal.app around the one-folder app: opens Terminal with the terminal app. Not run: written without a Mac.
# CODESIGN_IDENTITY and NOTARY_PROFILE are optional; without them the app opens only after a right-click, "Open".
set -eu
cd "$(dirname "$0")/../.."
app=dist/fclocal.app
version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' fclocal/__init__.py)
rm -rf "$app"
mkdir -p "$app/Contents/MacOS" "$app/Contents/Resources"
cp -R build/app/fclocal "$app/Contents/Resources/fclocal"
cat > "$app/Contents/MacOS/fclocal" <<'OPEN'
#!/bin/sh
exec open -a Terminal "$(dirname "$0")/../Resources/fclocal/fclocal"
OPEN
chmod +x "$app/Contents/MacOS/fclocal"
cat > "$app/Contents/Info.plist" <<PLIST
<?xml version="1.0" encoding="UTF-8"?>
<plist version="1.0"><dict>
<key>CFBundleIdentifier</key><string>local.fclocal</string>
<key>CFBundleName</key><string>fclocal</string>
<key>CFBundleExecutable</key><string>fclocal</string>
<key>CFBundlePackageType</key><string>APPL</string>
<key>CFBundleShortVersionString</key><string>$version</string>
<key>CFBundleVersion</key><string>$version</string>
<key>LSMinimumSystemVersion</key><string>13.0</string>
</dict></plist>
PLIST
if [ -n "${CODESIGN_IDENTITY:-}" ]; then
    find "$app" \( -name '*.so' -o -name '*.dylib' \) -exec codesign --force --timestamp --options runtime \
        --sign "$CODESIGN_IDENTITY" {} +
    codesign --force --timestamp --options runtime --entitlements packaging/macos/entitlements.plist \
        --sign "$CODESIGN_IDENTITY" "$app/Contents/Resources/fclocal/fclocal"
    codesign --force --timestamp --options runtime --sign "$CODESIGN_IDENTITY" "$app"
fi
if [ -n "${NOTARY_PROFILE:-}" ]; then
    ditto -c -k --keepParent "$app" dist/fclocal-macos.zip
    xcrun notarytool submit --wait --keychain-profile "$NOTARY_PROFILE" dist/fclocal-macos.zip
    xcrun stapler staple "$app"
fi
