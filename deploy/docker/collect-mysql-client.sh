#!/bin/sh
# Collects MySQL's client programs with the libraries and the loader that they need, so that they
# run on another distribution than the image's they come from.
set -eu
to=$1
mkdir -p "$to/bin" "$to/lib" "$to/programs"

for name in mysql mysqldump; do
    program=$(command -v "$name")
    cp -L "$program" "$to/programs/$name"
    # A library is named behind the arrow, the loader alone at the line's beginning.
    ldd "$program" | sed -n -e 's/.* => \(\/[^ ]*\) .*/\1/p' -e 's/^[[:space:]]*\(\/[^ ]*\) .*/\1/p' \
        | while read -r library; do
            cp -L "$library" "$to/lib/"
        done
    loader=$(basename "$to"/lib/ld-linux*)
    cat > "$to/bin/$name" <<END
#!/bin/sh
exec $to/lib/$loader --library-path $to/lib $to/programs/$name "\$@"
END
    chmod 0755 "$to/bin/$name"
    "$to/bin/$name" --version
done
