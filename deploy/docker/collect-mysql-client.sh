#!/bin/sh
# Collects MySQL's client programs with the libraries and the loader that they need, so that they
# run on another distribution than the image's they come from.
set -eu
to=$1
mkdir -p "$to/bin" "$to/lib" "$to/programs"

for name in mysql mysqldump; do
    program=$(command -v "$name")
    cp -L "$program" "$to/programs/$name"
    # A library's path stands behind the arrow, the loader's at the beginning.
    ldd "$program" | while read -r library arrow path _; do
        if [ "$arrow" != "=>" ]; then
            path=$library
        fi
        if [ -f "$path" ]; then
            cp -L "$path" "$to/lib/"
        fi
    done
    for loader in "$to"/lib/ld-linux*; do :; done
    cat > "$to/bin/$name" <<END
#!/bin/sh
exec $loader --library-path $to/lib $to/programs/$name "\$@"
END
    chmod 0755 "$to/bin/$name"
    "$to/bin/$name" --version
done
